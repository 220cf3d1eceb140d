#include "process/herald/herald_ring.h"
#include "domain/events/event_text.h"

#define JSON_MAX 8192 /* far more than an event with the longest names has */

static struct herald_ring_entry *
entry(const struct herald_ring *r, size_t i)
{
    return (struct herald_ring_entry *)&r->v[(r->first + i) % HERALD_RING_MAX];
}

void
herald_ring_free(struct herald_ring *r)
{
    for (size_t i = 0; i < r->n; i++)
        free(entry(r, i)->json);
    *r = (struct herald_ring){.n = 0};
}

void
herald_ring_begin(struct herald_ring *r, uint32_t base)
{
    if (r->begun)
        return;
    r->begun = true;
    r->base = base;
}

void
herald_ring_add(struct herald_ring *r, const struct outbox_event *e)
{
    struct buf json;
    size_t n;
    if (r->n == HERALD_RING_MAX) {
        struct herald_ring_entry *oldest = entry(r, 0);
        r->base = oldest->seq;
        free(oldest->json);
        r->first = (r->first + 1) % HERALD_RING_MAX;
        r->n--;
    }
    buf_init(&json, JSON_MAX);
    event_text_json(&json, e->seq, &e->event);
    n = json.n;
    buf_put(&json, e->event.repository, strlen(e->event.repository) + 1);
    *entry(r, r->n++) = (struct herald_ring_entry){.seq = e->seq,
                                                   .type = e->event.type,
                                                   .json = buf_ok(&json) ? json.p : NULL,
                                                   .n = n,
                                                   .repository = buf_ok(&json) ? json.p + n : ""};
    if (!buf_ok(&json))
        buf_free(&json);
    r->newest = e->seq;
}

const struct herald_ring_entry *
herald_ring_next(const struct herald_ring *r, uint32_t at)
{
    size_t low = 0, high = r->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (entry(r, middle)->seq > at)
            high = middle;
        else
            low = middle + 1;
    }
    return low < r->n ? entry(r, low) : NULL;
}
