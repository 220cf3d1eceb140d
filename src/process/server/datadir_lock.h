#pragma once

#include <stdbool.h>
#include <sys/types.h>
#include "util/err.h"

/* The lock of a data directory, db/lock. dirfd: the directory; name: as the user gave it. *fd
 * becomes the descriptor that holds the lock. */

/* Makes the file if it is missing, and takes the lock; waits a moment for the processes of a killed
 * server, and up to a minute for a command, which it names in the log. Fails with ERR_BUSY, and
 * names the process that has it. *fd is to be closed also then. */
int datadir_lock_wait(int *fd, int dirfd, const char *name, struct err *err);

/* Takes it if it is free: 1, 0, -1. make: makes the file if it is missing; otherwise there is
 * nothing to lock, and the result is 1. */
int datadir_lock_try(int *fd, int dirfd, const char *name, bool make, struct err *err);

struct datadir_lock_holder {
    pid_t pid;        /* 0: it isn't known */
    char command[32]; /* "": a server */
};

/* Has a command the lock, without a server? Then *h tells which. */
bool datadir_lock_by(int dirfd, struct datadir_lock_holder *h);

/* Has another process the lock? */
bool datadir_lock_is_taken(int dirfd);
