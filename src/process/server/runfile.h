#ifndef PROCESS_SERVER_RUNFILE_H
#define PROCESS_SERVER_RUNFILE_H

#include "util/bytes.h"
#include "util/err.h"

/* Puts a file below run/ in place, mode 0600, whole or not at all for those who read it. Nothing in
 * run/ outlives the server, so no disk is waited for. */
int runfile_write(int dirfd, const char *name, struct bytes content, struct err *err);

#endif
