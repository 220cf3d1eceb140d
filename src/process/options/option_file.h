#pragma once

#include <stdbool.h>
#include "util/buf.h"
#include "util/err.h"

/* Reads a whole file that an option names, at most out's maximum. Unlike files in the data
 * directory it may be a symbolic link. A relative name starts at dirfd. */
int option_file_read(int dirfd, const char *name, struct buf *out, struct err *err);

/* A file of rules: the one that an option names (given), or else the one that stands in the data
 * directory if the administrator has put it there. 1 read, 0 there is no such file, -1. */
int option_file_read_rules(const char *option, bool given, int dirfd, const char *name,
                           struct buf *out, struct err *err);
