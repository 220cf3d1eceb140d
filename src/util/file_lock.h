#pragma once

#include <sys/types.h>

/* The process that has locked the file of fd with flock(2); 0: it isn't known, as in a container
 * that doesn't see that process. */
pid_t file_lock_holder(int fd);
