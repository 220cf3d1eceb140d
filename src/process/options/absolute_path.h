#pragma once

#include "util/err.h"

/* The absolute name of a file or directory that is named from the working directory. It need not
 * exist. The result has no ".", no doubled slashes and no slash at the end (except "/"); ".." and
 * symbolic links stay as they are. To be freed. NULL: err. */
char *absolute_path(const char *name, struct err *err);
