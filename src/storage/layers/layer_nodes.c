#include "storage/layers/layer_nodes.h"
#include "util/arena.h"
#include "util/fnv.h"
#include "util/random.h"
#include "util/mem.h"

#define FIRST_BUCKETS 1024u

static struct bytes
node_name(const struct layer_node *x)
{
    return bytes_of(x->name, x->name_n);
}

/* With a random start, so that nobody can choose names that all fall into one bucket. */
static uint32_t
hash_of(const struct layer_nodes *t, uint32_t dir, struct bytes name)
{
    uint64_t h = fnv_hash(t->seed ^ dir, name);

    return (uint32_t)(h ^ h >> 32);
}

uint32_t
layer_nodes_find(const struct layer_nodes *t, uint32_t dir, struct bytes name)
{
    uint32_t hash = hash_of(t, dir, name), i = t->buckets[hash & (t->buckets_n - 1)];

    for (; i != LAYER_NODES_NONE; i = layer_nodes_at(t, i)->hash_next) {
        const struct layer_node *x = layer_nodes_at(t, i);

        if (x->hash == hash && x->parent == dir && bytes_equal(node_name(x), name))
            return i;
    }
    return LAYER_NODES_NONE;
}

static void
hang_in(struct layer_nodes *t, uint32_t i)
{
    uint32_t *bucket = &t->buckets[layer_nodes_at(t, i)->hash & (t->buckets_n - 1)];

    layer_nodes_at(t, i)->hash_next = *bucket;
    *bucket = i;
}

static void
take_out(struct layer_nodes *t, uint32_t i)
{
    uint32_t *at = &t->buckets[layer_nodes_at(t, i)->hash & (t->buckets_n - 1)];

    while (*at != i)
        at = &layer_nodes_at(t, *at)->hash_next;
    *at = layer_nodes_at(t, i)->hash_next;
}

static void
grow_buckets(struct layer_nodes *t)
{
    uint32_t old_n = t->buckets_n, *old = t->buckets;
    uint32_t n = old_n > 0 ? 2 * old_n : FIRST_BUCKETS, *buckets = mem_alloc(n * sizeof *buckets);

    memset(buckets, 0xff, n * sizeof *buckets);
    t->buckets = buckets;
    t->buckets_n = n;
    for (uint32_t b = 0; b < old_n; b++)
        for (uint32_t i = old[b], next; i != LAYER_NODES_NONE; i = next) {
            next = layer_nodes_at(t, i)->hash_next;
            hang_in(t, i);
        }
    free(old);
}

/* Returns an unused node, or LAYER_NODES_NONE when the limit is reached. */
static uint32_t
take_node(struct layer_nodes *t)
{
    uint32_t i = t->unused;

    if (i != LAYER_NODES_NONE) {
        t->unused = layer_nodes_at(t, i)->next;
        return i;
    }
    if (t->taken == LAYER_NODES_CHUNK * LAYER_NODES_CHUNKS_MAX)
        return LAYER_NODES_NONE;
    if (t->taken % LAYER_NODES_CHUNK == 0)
        t->chunks[t->taken / LAYER_NODES_CHUNK] =
            mem_alloc(LAYER_NODES_CHUNK * sizeof(struct layer_node));
    return t->taken++;
}

const char *
layer_nodes_keep(struct layer_nodes *t, struct bytes text, struct err *err)
{
    const char *copy;

    t->text_bytes += text.n;
    if (t->text_bytes > t->limits.text) {
        err_set(err, ERR_NOT_BROWSABLE, "its names have more than %llu bytes",
                (unsigned long long)t->limits.text);
        return NULL;
    }
    copy = arena_copy(&t->texts, text.p, text.n);
    if (copy == NULL)
        arena_full(err);
    return copy;
}

uint32_t
layer_nodes_make(struct layer_nodes *t, uint32_t dir, struct bytes name, struct err *err)
{
    unsigned depth = layer_nodes_at(t, dir)->depth + 1u;
    const char *text;
    struct layer_node *x;
    uint32_t i;

    if (depth > t->limits.depth || t->n >= t->limits.nodes) {
        err_set(err, ERR_NOT_BROWSABLE, "it has more than %llu %s",
                (unsigned long long)(depth > t->limits.depth ? t->limits.depth : t->limits.nodes),
                depth > t->limits.depth ? "directories inside each other" : "entries");
        return LAYER_NODES_NONE;
    }
    if ((text = layer_nodes_keep(t, name, err)) == NULL)
        return LAYER_NODES_NONE;
    if (t->n >= t->buckets_n)
        grow_buckets(t);
    if ((i = take_node(t)) == LAYER_NODES_NONE) {
        arena_full(err);
        return LAYER_NODES_NONE;
    }
    x = layer_nodes_at(t, i);
    *x = (struct layer_node){.parent = dir,
                             .child = LAYER_NODES_NONE,
                             .next = layer_nodes_at(t, dir)->child,
                             .hash = hash_of(t, dir, name),
                             .name = text,
                             .name_n = (uint8_t)name.n,
                             .depth = (uint16_t)depth,
                             .type = LAYER_NONE};
    layer_nodes_at(t, dir)->child = i;
    hang_in(t, i);
    t->n++;
    return i;
}

/* Removes all contents of a directory. */
static void
drop_children(struct layer_nodes *t, uint32_t dir)
{
    uint32_t todo = layer_nodes_at(t, dir)->child;

    layer_nodes_at(t, dir)->child = LAYER_NODES_NONE;
    while (todo != LAYER_NODES_NONE) {
        uint32_t i = todo, last = layer_nodes_at(t, i)->child;

        todo = layer_nodes_at(t, i)->next;
        if (last != LAYER_NODES_NONE) {
            while (layer_nodes_at(t, last)->next != LAYER_NODES_NONE)
                last = layer_nodes_at(t, last)->next;
            layer_nodes_at(t, last)->next = todo;
            todo = layer_nodes_at(t, i)->child;
        }
        take_out(t, i);
        layer_nodes_at(t, i)->next = t->unused;
        t->unused = i;
        t->n--;
    }
}

void
layer_nodes_become(struct layer_nodes *t, uint32_t i, const struct layer_node *is)
{
    struct layer_node *x = layer_nodes_at(t, i), new = *is;

    if (x->type == LAYER_DIR && is->type == LAYER_DIR)
        new.flags |= x->flags &LAYER_OPAQUE;
    else if (x->type == LAYER_DIR)
        drop_children(t, i);
    new.flags |= x->flags &LAYER_HIDES_BELOW;
    new.parent = x->parent;
    new.child = x->child;
    new.next = x->next;
    new.hash = x->hash;
    new.hash_next = x->hash_next;
    new.name = x->name;
    new.name_n = x->name_n;
    new.depth = x->depth;
    *x = new;
}

void
layer_nodes_init(struct layer_nodes *t, const struct layer_nodes_limits *limits)
{
    memset(t, 0, sizeof *t);
    t->limits = *limits;
    t->unused = LAYER_NODES_NONE;
    t->seed = random_u64();
    arena_init(&t->texts, SIZE_MAX);
    grow_buckets(t);
    take_node(t); /* LAYER_NODES_ROOT */
    *layer_nodes_at(t, LAYER_NODES_ROOT) = (struct layer_node){.child = LAYER_NODES_NONE,
                                                               .next = LAYER_NODES_NONE,
                                                               .name = "",
                                                               .type = LAYER_DIR,
                                                               .flags = LAYER_IMPLICIT,
                                                               .mode = 0755};
}

void
layer_nodes_free(struct layer_nodes *t)
{
    for (uint32_t i = 0; i < t->taken; i += LAYER_NODES_CHUNK)
        free(t->chunks[i / LAYER_NODES_CHUNK]);
    free(t->buckets);
    arena_reset(&t->texts);
}
