#pragma once

#include <sys/types.h>
#include "util/err.h"

/* Locks the file of fd with flock(2), without waiting. dir and name: for messages; dir may be NULL.
 * 1; 0: another process has it; -1. */
int file_lock_try(int fd, const char *dir, const char *name, struct err *err);

/* The process that has locked the file of fd with flock(2); 0: it isn't known, as in a container
 * that doesn't see that process. */
pid_t file_lock_holder(int fd);
