#ifndef UTIL_SEATS_H
#define UTIL_SEATS_H

#include "util/err.h"

/* A number of seats that processes share: who has one may do what only so many may do at once. A
 * process that dies gives its seat back. Made before the fork; a process takes one seat at a time.
 */
struct seats {
    int fd;
    unsigned n;
};

/* n: at least 1. */
int seats_make(struct seats *s, unsigned n, struct err *err);
void seats_close(struct seats *s);

/* A seat, or -1: all are taken. Never waits. */
int seats_take(const struct seats *s);
void seats_leave(const struct seats *s, int seat);

#endif
