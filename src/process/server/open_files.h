#pragma once

#include "util/err.h"

/* Raises the limit of open files to what the server needs. Fails if it can't: with fewer, what
 * fails first would be anything, even a recovery. */
int open_files_want(struct err *err);
