#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "util/buf.h"

/* The newest events as text, once for all listeners. Who is behind by more asks the keeper. */

#define HERALD_RING_MAX 1024

struct herald_ring_entry {
    uint32_t seq;
    enum event_type type;
    char *json; /* without a line's end; NULL: no memory */
    size_t n;
};

struct herald_ring {
    struct herald_ring_entry v[HERALD_RING_MAX];
    size_t first, n;
    bool begun;      /* base is known */
    uint32_t base;   /* all events behind this one are here */
    uint32_t newest; /* 0: none yet */
};

void herald_ring_free(struct herald_ring *r);
/* Begins behind that event, unless it has begun. */
void herald_ring_begin(struct herald_ring *r, uint32_t base);
/* The next event; the oldest goes if there is no room. */
void herald_ring_add(struct herald_ring *r, const struct outbox_event *e);
/* The first behind `at`, which isn't below base; NULL when there is none. */
const struct herald_ring_entry *herald_ring_next(const struct herald_ring *r, uint32_t at);
