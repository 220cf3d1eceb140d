#include "domain/inside/index_cache.h"
#include <stdbool.h>
#include "util/mem.h"

struct held {
    struct held *next;
    struct layer_index *index;
    size_t users;
    uint64_t last; /* number of the call that last used it */
    bool forgotten;
};

struct index_cache {
    struct held *all;
    size_t keep, idle;
    uint64_t calls;
};

struct index_cache *
index_cache_new(size_t keep)
{
    struct index_cache *c = mem_alloc(sizeof *c);

    c->keep = keep;
    return c;
}

/* Removes an index from the list and closes it. */
static void
drop_held(struct index_cache *c, struct held **at)
{
    struct held *h = *at;

    *at = h->next;
    c->idle -= h->users == 0;
    layer_index_close(h->index);
    free(h);
}

void
index_cache_free(struct index_cache *c)
{
    while (c != NULL && c->all != NULL)
        drop_held(c, &c->all);
    free(c);
}

static bool
held_is_of(const struct held *h, const struct digest *layer)
{
    return !h->forgotten && digest_equal(&layer_index_info(h->index)->layer, layer);
}

static int
open_held_index(struct index_cache *c, struct index_store s, const struct digest *layer,
                struct held **out, struct err *err)
{
    struct held *h = mem_alloc(sizeof *h);
    int rc;

    rc = index_store_open(s, layer, &h->index, err);
    if (rc != 1) {
        free(h);
        return rc;
    }
    h->next = c->all;
    c->all = h;
    c->idle++;
    *out = h;
    return 1;
}

int
index_cache_take(struct index_cache *c, struct index_store s, const struct digest *layer,
                 struct layer_index **x, struct err *err)
{
    struct held *h;
    int rc;

    if (c == NULL)
        return index_store_open(s, layer, x, err);
    for (h = c->all; h != NULL && !held_is_of(h, layer); h = h->next)
        ;
    if (h == NULL && (rc = open_held_index(c, s, layer, &h, err)) != 1)
        return rc;
    c->idle -= h->users++ == 0;
    h->last = ++c->calls;
    *x = h->index;
    return 1;
}

/* The unused index that was used least recently, or one that is to be forgotten. */
static struct held **
oldest(struct index_cache *c)
{
    struct held **found = NULL;

    for (struct held **at = &c->all; *at != NULL; at = &(*at)->next) {
        if ((*at)->users > 0)
            continue;
        if ((*at)->forgotten)
            return at;
        if (found == NULL || (*at)->last < (*found)->last)
            found = at;
    }
    return found;
}

static void
drop_unused(struct index_cache *c)
{
    struct held **at;

    while ((at = oldest(c)) != NULL && (c->idle > c->keep || (*at)->forgotten))
        drop_held(c, at);
}

void
index_cache_leave(struct index_cache *c, struct layer_index *x)
{
    if (c == NULL) {
        layer_index_close(x);
        return;
    }
    for (struct held *h = c->all; h != NULL; h = h->next)
        if (h->index == x)
            c->idle += --h->users == 0;
    drop_unused(c);
}

void
index_cache_forget(struct index_cache *c, const struct digest *layer)
{
    if (c == NULL)
        return;
    for (struct held *h = c->all; h != NULL; h = h->next)
        h->forgotten = h->forgotten || held_is_of(h, layer);
    drop_unused(c);
}
