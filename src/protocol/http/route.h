#pragma once

#include "domain/access/access.h"
#include "protocol/http/call.h"
#include "protocol/http/path.h"

/* The pool of workers that answers. nginx's locations (conf/) choose the same pool;
 * tests/lint/routes.t compares the two. */
enum pool_id {
    POOL_API,    /* decides quickly */
    POOL_BULK,   /* hashes and syncs uploads */
    POOL_GATE,   /* waits for pre-hooks, while there are any; else it is POOL_API */
    POOL_LIST,   /* makes lists, whose length depends on what was pushed */
    POOL_BROWSE, /* streams files out of images, as long as the client reads */
    POOL_STATUS, /* tells how the server is; nothing in it waits for the database */
    POOL_COUNT,
};

struct route {
    unsigned methods;    /* of enum http_method, or-ed; HEAD only where it is listed */
    const char *pattern; /* {name}: a repository, one or more segments; {x}: one segment. A final
                          * "/...": a path inside an image follows, or nothing. A final "?x": the
                          * row fits only with that parameter in the query. */
    enum verb verb;
    enum pool_id pool;
    call_handler *handler;
};

/* The first matching row is taken. */
struct route_table {
    const struct route *rows;
    size_t n;
};

/* Finds the row of c->routes for the call's method, path and query, and puts its variables into c.
 * A final slash of a path below /v1 is ignored. NULL: ERR_NO_ROUTE; or ERR_NO_METHOD if only other
 * methods match, which are then in *allowed. */
const struct route *route_find(struct call *c, const struct path *p, unsigned *allowed,
                               struct err *err);
