#ifndef PROCESS_FCGI_H
#define PROCESS_FCGI_H

#include "protocol/http.h"
#include "util/arena.h"
#include "util/err.h"

/* FastCGI: nginx's parameters become a struct http_request, and a reply is written so that nginx
 * makes the right answer of it. Only fcgi.c knows the library. */

typedef void fcgi_handler(const struct http_request *req, struct arena *arena,
                          struct http_reply *reply, void *arg);

/* Serves one request after the other from a listening socket until fcgi_stop. A request is whole
 * when the handler gets it; one that our nginx can't have sent (no ROLE, a name twice) never gets
 * that far. 0, or -1 when the socket is of no use. */
int fcgi_serve(int socket, fcgi_handler *handle, void *arg, struct err *err);

/* For a signal handler: fcgi_serve returns once the request in hand is answered. A signal that
 * comes just before it waits for the next is lost on it: send it again. */
void fcgi_stop(void);

#endif
