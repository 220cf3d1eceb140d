#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* Divides a pool of processes among clients. Each process works on one request at a time, and is a
 * place. The requests of one client occupy at most three quarters of the places. A further request
 * waits, in the process that took it, until one of the others has ended, which is soon if they are
 * short. If all of them have taken longer than patience_ms, it is refused. The memory is shared,
 * and made before the fork. */
struct share {
    struct share_places *places;
    unsigned n, most;
    uint64_t patience_ms;
};

/* n: places, at least 1. With one or two there is no limit. */
int share_make(struct share *s, unsigned n, uint64_t patience_ms, struct err *err);
void share_close(struct share *s);

/* One process of the pool. */
struct share_member {
    const struct share *share;
    unsigned place; /* from 0 */
};

/* Begins a request of a client, which is any text; a member has one request at a time. 0, or -1
 * with ERR_TOO_MANY. */
int share_enter(const struct share_member *m, const char *client, struct err *err);
/* Ends it, also one that was refused. A member calls it when it starts, too, because the process
 * before it may have died. */
void share_leave(const struct share_member *m);
