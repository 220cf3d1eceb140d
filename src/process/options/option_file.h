#pragma once

#include "util/buf.h"
#include "util/err.h"

/* Reads a whole file that an option names, at most out's maximum. Unlike files in the data
 * directory it may be a symbolic link. A relative name starts at dirfd. */
int option_file_read(int dirfd, const char *name, struct buf *out, struct err *err);
