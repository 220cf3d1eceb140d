#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "process/herald/herald_protocol.h"
#include "process/herald/herald_ring.h"
#include "util/buf.h"
#include "util/loop.h"

/* The listeners to GET /v1/events. A worker has checked the client and its request, and then has
 * nginx ask here: "GET /events/<ndjson|sse>/<types>/<since>/<owner>/<user> HTTP/1.x", of which only
 * the method comes from a client (types: the bits of event_text.h, in decimal; since: a number, or
 * "new"; owner: the same text for all listeners of a user or an address; user: the name in hex, or
 * "-"). Headers are ignored.
 *
 * A listener gets the events of repositories that its user may pull from at that moment. Events
 * without a repository (steps in the push of a v1 image) go to users who may pull everything. The
 * stream of a user who was removed ends. */

#define HERALD_HTTP_MAX 1000                      /* listeners at once; more of them get 503 */
#define HERALD_HTTP_OWNER_MAX 250                 /* listeners of one owner; more get 429 */
#define HERALD_HTTP_OWNER_BYTES 64                /* the longest name of an owner */
#define HERALD_HTTP_PLACES (HERALD_HTTP_MAX + 24) /* these get that answer meanwhile */
#define HERALD_HTTP_BEAT_MS 15000                 /* after this long a silence, an empty line */
#define HERALD_HTTP_STALL_MS 20000                /* without any progress the connection ends */
#define HERALD_HTTP_OUT_MAX 16384                 /* more output waits until this is written */

struct herald_http;

struct herald_listener {
    struct herald_http *http;
    int fd;      /* -1: free */
    uint32_t id; /* of this listener; 0 is not used */
    bool asking; /* its request isn't complete yet */
    bool ending; /* to be closed as soon as `out` is written */
    bool fresh;  /* it wants events from now on */
    bool sse;
    bool paging; /* the keeper was asked for its next events */
    unsigned types;
    char owner[HERALD_HTTP_OWNER_BYTES + 1];
    char user[RECORD_ACTOR_MAX + 1]; /* "": anonymous */
    uint32_t at;                     /* events up to this one are done */
    struct buf in;                   /* its request */
    struct buf out;
    struct loop_fd ready;
    struct loop_timer stall, beat;
};

struct herald_http {
    struct loop *loop;
    struct loop_fd connections;
    int socket;
    const struct registry *reg; /* for rights only; access_look is called before events are added */
    const struct herald_ring *ring;
    struct herald_listener *v; /* HERALD_HTTP_PLACES */
    size_t n;                  /* places used so far */
    size_t pages;              /* requests for pages that are under way */
    size_t page_next;          /* the next listener whose turn it is to ask */
    uint32_t last_id;
};

/* socket: listening, O_NONBLOCK. */
void herald_http_init(struct herald_http *h, struct loop *loop, int socket,
                      const struct registry *reg, const struct herald_ring *ring);
/* Ends all connections. */
void herald_http_close(struct herald_http *h);
void herald_http_free(struct herald_http *h);

/* Call this after events were added to the ring. */
void herald_http_push(struct herald_http *h);

/* True if a listener needs events that are no longer in the ring; then f asks the keeper for
 * them. */
bool herald_http_want_page(struct herald_http *h, struct herald_message *f);
/* Takes the keeper's answer. */
void herald_http_take_page(struct herald_http *h, const struct herald_message *f);
/* Call this when the keeper is gone: it will answer no pending request. */
void herald_http_forget_pages(struct herald_http *h);
