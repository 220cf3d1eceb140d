#pragma once

#include "util/err.h"

/* A semaphore for processes: n seats, of which each is held by at most one process. A seat is freed
 * when its process dies. The semaphore is made before the fork; a process holds at most one seat.
 * */
struct semaphore {
    int fd;
    unsigned n;
};

/* n: at least 1. */
int semaphore_make(struct semaphore *s, unsigned n, struct err *err);
void semaphore_close(struct semaphore *s);

/* Returns a seat, or -1 when all are taken. Never waits. */
int semaphore_take(const struct semaphore *s);
void semaphore_leave(const struct semaphore *s, int seat);
