#ifndef PROCESS_HERALD_HERALD_HTTP_H
#define PROCESS_HERALD_HERALD_HTTP_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "process/herald/herald_protocol.h"
#include "process/herald/herald_ring.h"
#include "util/buf.h"

/* Those who listen to GET /v1/events. A worker has checked who asks and for what, and has nginx
 * ask here: "GET /events/<ndjson|sse>/<types>/<since> HTTP/1.x", of which nothing but the method is
 * from a client (types: the bits of event_text.h, in decimal; since: a number, or "new"). Headers
 * are passed over. Times are clock_mono_ms(). */

#define HERALD_HTTP_PLACES (HERALD_HTTP_MAX + 24) /* those are being refused */
#define HERALD_HTTP_MAX 1000                      /* at once; more get 503 */
#define HERALD_HTTP_BEAT_MS 15000                 /* of silence, then an empty line */
#define HERALD_HTTP_STALL_MS 20000                /* who takes nothing for so long is sent away */
#define HERALD_HTTP_OUT_MAX 16384                 /* not filled up further until it was written */

struct herald_listener {
    int fd;      /* -1: free */
    uint32_t id; /* of this one, and none that had its place before */
    bool asking; /* its request isn't whole yet */
    bool ending; /* to be closed as soon as `out` is written */
    bool fresh;  /* wants what comes from now on */
    bool sse;
    unsigned types;
    uint32_t at;   /* up to there it has, or was spared, the events */
    bool paging;   /* the keeper was asked for what comes next */
    struct buf in; /* its request */
    struct buf out;
    uint64_t since; /* when it last took something, or came */
    uint64_t beat_at;
};

struct herald_http {
    int socket;
    struct herald_ring *ring;
    struct herald_listener *v; /* HERALD_HTTP_PLACES */
    size_t n;                  /* places ever used */
    size_t pages;              /* how many are asked for */
    size_t page_next;          /* whose turn it is to ask */
    uint32_t last_id;
};

/* socket: listening, O_NONBLOCK. */
void herald_http_init(struct herald_http *h, int socket, struct herald_ring *ring);
/* Sends all away. */
void herald_http_close(struct herald_http *h);
void herald_http_free(struct herald_http *h);

/* What to wait for: fills up to HERALD_HTTP_PLACES + 1 of them, and hands them to herald_http_step
 * afterwards, in the same order. */
size_t herald_http_poll(const struct herald_http *h, struct pollfd *fds);
void herald_http_step(struct herald_http *h, const struct pollfd *fds, size_t n, uint64_t now);
/* New events are in the ring, or time has passed. */
void herald_http_push(struct herald_http *h, uint64_t now);

/* Who needs a page from the keeper: fills the packet and returns true. */
bool herald_http_want_page(struct herald_http *h, struct herald_message *f);
/* One has come. */
void herald_http_take_page(struct herald_http *h, const struct herald_message *f, uint64_t now);
/* The keeper is gone, and with it what was asked for. */
void herald_http_forget_pages(struct herald_http *h);

#endif
