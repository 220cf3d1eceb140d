#ifndef UTIL_SEMAPHORE_H
#define UTIL_SEMAPHORE_H

#include "util/err.h"

/* A number of seats that processes share: who has one may do what only so many may do at once. A
 * process that dies gives its seat back. Made before the fork; a process takes one seat at a time.
 */
struct semaphore {
    int fd;
    unsigned n;
};

/* n: at least 1. */
int semaphore_make(struct semaphore *s, unsigned n, struct err *err);
void semaphore_close(struct semaphore *s);

/* A seat, or -1: all are taken. Never waits. */
int semaphore_take(const struct semaphore *s);
void semaphore_leave(const struct semaphore *s, int seat);

#endif
