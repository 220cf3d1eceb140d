#pragma once

#include "util/err.h"

/* Returns the absolute path of a name that is relative to the working directory, and need not
 * exist. The result has no ".", no double slashes and no final slash (except "/"); ".." and
 * symbolic links stay as they are. The caller frees it. NULL on failure. */
char *absolute_path(const char *name, struct err *err);
