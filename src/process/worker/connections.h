#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/err.h"
#include "util/fd_exchange.h"

/* A worker's connections: the socket where new ones come, and those that nginx keeps open between
 * requests. A kept connection belongs to its pool and not to a worker. The worker that answered
 * last watches it, but passes it on when another one could answer sooner: when it has several
 * requests and others are idle, before a request that may take long, and when it retires. */

/* A pool needs this to keep its connections. */
struct connections_pool {
    const struct fd_exchange *exchange;
    unsigned place; /* of this worker in it */
};

struct connections {
    int socket;
    int epoll;
    int spare;                           /* a descriptor for when there is no other */
    const struct connections_pool *pool; /* NULL: each connection ends with its request */
    uint32_t *kept;                      /* by descriptor: the number of its watch, or 0 */
    size_t kept_room, kept_n;
    uint32_t watches;          /* the last number */
    struct epoll_event *ready; /* what the kernel said last, from `ready_at` on not looked at yet */
    int ready_n, ready_at;
};

enum connections_speaker {
    CONNECTIONS_NONE, /* a signal came */
    CONNECTIONS_NEW,  /* one may wait in the socket, unless another worker was faster */
    CONNECTIONS_KEPT, /* that descriptor has a request */
};

/* socket: doesn't block. */
int connections_open(struct connections *c, int socket, const struct connections_pool *pool,
                     struct err *err);
/* Closes all that are kept; the pool's others get them instead if this worker only retires. */
void connections_close(struct connections *c, bool retires);

/* Waits for a request. */
enum connections_speaker connections_next(struct connections *c, int *fd);

/* After a request on fd: watches it from now on. False: it can't be kept, and has to be closed. */
bool connections_keep(struct connections *c, int fd);
/* Before a kept descriptor is closed, or at least right after. */
void connections_forget(struct connections *c, int fd);

/* Before a request on fd that may take long: passes on all others, whatever they have to say. */
void connections_pass_on(struct connections *c, int fd);

/* When no descriptor is left: closes one new connection unheard, if it can, so that nginx refuses
 * its request at once. */
void connections_refuse(struct connections *c);

/* Does anybody else wait for this worker, or for any of its pool? */
bool connections_wait(const struct connections *c);
