#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* Places of a pool of processes that does one thing at a time in each: one client may occupy at
 * most three quarters of them, so that there is a place for others. A client's further request
 * waits in its place for one of its others to end, which is soon for short ones. It is refused when
 * the others have all taken longer than patience_ms. The memory is shared, and made before the
 * fork. */
struct share {
    struct share_place *places;
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
