#pragma once

#include <stdbool.h>
#include "process/commands/user_file.h"
#include "util/err.h"

/* user list: prints a line for each user, or a JSON array of objects. */
int user_list_print(const struct user_file *f, bool json, struct err *err);
