#pragma once

#include "process/commands/user_file.h"
#include "util/err.h"

/* user verify. 0: the password is right, and the user has not expired. -1: err says why not. */
int user_verify_password(const struct user_file *f, const char *name, const char *password,
                         struct err *err);
