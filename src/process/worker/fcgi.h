#pragma once

#include "process/worker/connections.h"
#include "protocol/http/http.h"
#include "util/arena.h"
#include "util/err.h"

/* FastCGI: nginx's parameters become a struct http_request, and a reply is written so that nginx
 * makes the right answer of it. Only fcgi.c knows the library. */

typedef void fcgi_handler(const struct http_request *req, struct arena *arena,
                          struct http_reply *reply, void *arg);
/* The end of a request that the handler has got. */
struct fcgi_done {
    const struct http_request *req;
    const struct http_reply *reply;
    uint64_t sent; /* bytes of its body */
    uint64_t us;   /* since it came */
};
/* Called when the answer has been written or its reader was cut off, but before nginx learns of its
 * end. done NULL: the request has reached no handler. */
typedef void fcgi_end(const struct fcgi_done *done, void *arg);

/* Limits for readers. nginx buffers a part of an answer only; for the rest the worker waits for the
 * reader. A slow reader is cut off only when others wait. */
struct fcgi_limits {
    uint64_t patience_ms; /* milliseconds in which any speed is accepted; */
    uint64_t rate;        /* then the least average speed, in bytes a second */
    uint64_t still_ms;    /* a reader that takes nothing for this long is cut off if others wait */
    uint64_t stuck_ms;    /* a reader that takes nothing for this long is always cut off */
};
extern const struct fcgi_limits fcgi_limits_default;

/* Serves one request after the other from a listening socket, which doesn't block, until fcgi_stop
 * or fcgi_retire. With `pool`, connections are kept if nginx wants that. The handler gets whole
 * requests. A request that our nginx can't have sent (no ROLE, a name twice) never reaches it. 0,
 * or -1 if the socket is useless. */
int fcgi_serve(int socket, const struct connections_pool *pool, const struct fcgi_limits *limits,
               fcgi_handler *handle, fcgi_end *end, void *arg, struct err *err);

/* For a signal handler: fcgi_serve returns once the current request is answered. A signal that
 * comes just before it waits for the next request is lost: send it again. */
void fcgi_stop(void);
/* Likewise, but the server goes on: others of the pool get the kept connections. */
void fcgi_retire(void);
