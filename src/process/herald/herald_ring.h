#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/events/outbox.h"
#include "util/buf.h"

/* The newest events as text, shared by all listeners. Older events come from the keeper. */

#define HERALD_RING_MAX 1024

struct herald_ring_entry {
    uint32_t seq;
    enum event_type type;
    char *json; /* without a newline */
    size_t n;
    const char *repository; /* "": none; in the ring, behind the text of json */
};

struct herald_ring {
    struct herald_ring_entry v[HERALD_RING_MAX];
    size_t first, n;
    bool begun;      /* base is known */
    uint32_t base;   /* all events after this one are in the ring */
    uint32_t newest; /* 0: none yet */
};

void herald_ring_free(struct herald_ring *r);
/* Lets the ring begin after that event, if it is new. */
void herald_ring_begin(struct herald_ring *r, uint32_t base);
/* Adds the next event. The oldest is dropped if there is no room. */
void herald_ring_add(struct herald_ring *r, const struct outbox_event *e);
/* The first event after `at`, which must not be less than base; NULL: there is none. */
const struct herald_ring_entry *herald_ring_next(const struct herald_ring *r, uint32_t at);
