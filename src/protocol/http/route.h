#ifndef PROTOCOL_HTTP_ROUTE_H
#define PROTOCOL_HTTP_ROUTE_H

#include "domain/access/access.h"
#include "protocol/http/call.h"
#include "protocol/http/path.h"

/* Which workers answer: nginx's locations (conf/) and this column say the same, and a test holds
 * one against the other. */
enum pool_id {
    POOL_API,    /* decides quickly */
    POOL_BULK,   /* hashes and syncs uploads */
    POOL_GATE,   /* waits for pre-hooks, while there are any; else it is POOL_API */
    POOL_BROWSE, /* streams out of images, as long as its reader takes */
    POOL_COUNT,
};

struct route {
    unsigned methods;    /* of enum http_method; GET serves HEAD only when it says so */
    const char *pattern; /* {name}: a repository, one or more segments; {x}: one segment;
                            a final "/...": and a path inside of an image, or none;
                            a final "?x": only with that parameter in the query */
    enum verb verb;
    enum pool_id pool;
    call_handler *handler;
};

/* The table, in routes.c: what this server answers to. The first row that fits is taken. */
extern const struct route routes[];
extern const size_t routes_n;

/* The row for the call's method, path and query, and its variables into c. A slash at the end of a
 * path below /v1 doesn't count. NULL and ERR_NO_ROUTE, or ERR_NO_METHOD when the path fits other
 * methods: then *allowed has those. */
const struct route *route_find(struct call *c, const struct path *p, unsigned *allowed,
                               struct err *err);

#endif
