#pragma once

#include <stdbool.h>
#include "domain/events/hook.h"
#include "util/err.h"

/* The administrator's hooks, as the master sees them. */

/* The file by which nginx knows that there is a pre-hook. */
#define HOOK_FILES_ASKED "run/pre-hooks"

/* Can the directory of --hooks (NULL: not given) be entered by the server's user? Without one there
 * would be no pre-hook, and nothing would be refused. */
int hook_files_check(const char *hooks, const char *user, struct err *err);

/* Looks for pre-hooks, and makes or removes the file, unless it is as before. Returns whether there
 * is one. */
bool hook_files_look(struct hooks *hooks, int dirfd, bool before);
