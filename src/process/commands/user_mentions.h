#pragma once

#include "process/commands/user_file.h"

/* Warns of lines in auth/groups and in the access rules that name this user, who has been removed:
 * the next user of that name gets the same rights. access: the file of --access, relative to
 * startdir; NULL: auth/access of the data directory. */
void user_mentions_warn(const struct user_file *f, int startdir, const char *access,
                        const char *name);
