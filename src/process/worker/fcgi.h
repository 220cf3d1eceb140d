#ifndef PROCESS_WORKER_FCGI_H
#define PROCESS_WORKER_FCGI_H

#include "protocol/http/http.h"
#include "util/arena.h"
#include "util/err.h"

/* FastCGI: nginx's parameters become a struct http_request, and a reply is written so that nginx
 * makes the right answer of it. Only fcgi.c knows the library. */

typedef void fcgi_handler(const struct http_request *req, struct arena *arena,
                          struct http_reply *reply, void *arg);

/* A worker waits for whoever reads a stream from it (nginx sends on what it takes, and keeps next
 * to nothing). One who reads slowly is cut off only when others wait. */
struct fcgi_limits {
    uint64_t patience_ms; /* for so long any speed will do; */
    uint64_t rate;        /* then so many bytes a second on average are enough */
    uint64_t stuck_ms;    /* who takes nothing at all for so long is always cut off */
};
extern const struct fcgi_limits fcgi_limits_default;

/* Serves one request after the other from a listening socket until fcgi_stop. A request is whole
 * when the handler gets it; one that our nginx can't have sent (no ROLE, a name twice) never gets
 * that far. 0, or -1 when the socket is of no use. */
int fcgi_serve(int socket, const struct fcgi_limits *limits, fcgi_handler *handle, void *arg,
               struct err *err);

/* For a signal handler: fcgi_serve returns once the request in hand is answered. A signal that
 * comes just before it waits for the next is lost on it: send it again. */
void fcgi_stop(void);

#endif
