#pragma once

#include "util/bytes.h"
#include "util/err.h"

/* Puts a file below run/ in place, mode 0600. Readers see it whole or not at all. Nothing in run/
 * outlives the server, so there is no fsync. */
int runfile_write(int dirfd, const char *name, struct bytes content, struct err *err);
/* The number of this process, and a line end. */
int runfile_write_pid(int dirfd, const char *name, struct err *err);
