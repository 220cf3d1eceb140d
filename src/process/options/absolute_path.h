#ifndef PROCESS_OPTIONS_ABSOLUTE_PATH_H
#define PROCESS_OPTIONS_ABSOLUTE_PATH_H

#include "util/err.h"

/* The absolute name of a file or directory that is named from the working directory, which need not
 * be there: for those who look from elsewhere. Without "." and doubled slashes, and without one at
 * the end (but "/" stays); ".." and symbolic links stay as they are. To be freed; NULL: err. */
char *absolute_path(const char *name, struct err *err);

#endif
