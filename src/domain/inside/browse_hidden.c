#include "domain/inside/browse_hidden.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"

#define HIDDEN_MEMORY ((size_t)1 << 20)

/* A walk through some layers. */
struct hidden_side {
    struct layer_merge *merge;
    struct arena arena;
    struct layer_walk *walk;
    bool has;
    struct bytes path;
    struct layer_merge_node node;
};

static int
step_hidden_side(struct hidden_side *s, struct err *err)
{
    int rc = layer_walk_next(s->walk, &s->path, &s->node, err);

    s->has = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int
begin_hidden_side(struct hidden_side *s, struct bytes after, struct err *err)
{
    struct layer_merge_node root;

    s->merge->steps = LAYER_MERGE_STEPS;
    arena_init(&s->arena, HIDDEN_MEMORY);
    if (layer_merge_find(s->merge, &s->arena, bytes_of("", 0), true, &root, err) > 0)
        s->walk = layer_walk_begin(s->merge, &root, LAYER_WALK_BYTES, after, err);
    return s->walk != NULL ? step_hidden_side(s, err) : -1;
}

static void
end_hidden_side(struct hidden_side *s)
{
    layer_walk_end(s->walk);
    arena_reset(&s->arena);
}

/* Moves `seen` to the path of `own` or behind it. */
static int
catch_up(const struct hidden_side *own, struct hidden_side *seen, int *order, struct err *err)
{
    *order = 1;
    while (seen->has && (*order = bytes_compare(seen->path, own->path)) < 0)
        if (step_hidden_side(seen, err) != 0)
            return -1;
    if (!seen->has)
        *order = 1;
    return 0;
}

/* Both walks have the same order, so one pass compares them. */
static int
compare_walks(struct browse_hidden *h, struct hidden_side *own, struct hidden_side *seen,
              struct err *err)
{
    size_t given = 0;
    int order, rc = 0;

    while (own->has && rc == 0) {
        if (catch_up(own, seen, &order, err) != 0)
            return -1;
        if (own->node.entry.type != LAYER_DIR && (order != 0 || seen->node.layer != h->layer)) {
            if (given++ == h->n) {
                h->more = true;
                return 0;
            }
            rc = h->fn(h->arg, own->path, &own->node, order == 0, err);
            h->more = rc > 0;
        }
        if (rc == 0)
            rc = step_hidden_side(own, err);
    }
    return rc < 0 ? -1 : 0;
}

static int
walk_both(struct browse_image *im, struct browse_hidden *h, struct err *err)
{
    struct layer_merge above = {.layers = im->indexes, .n = h->layer + 1};
    struct hidden_side own = {.merge = &im->merge}, seen = {.merge = &above};
    int rc = -1;

    h->more = false;
    if (begin_hidden_side(&own, h->after, err) == 0 && begin_hidden_side(&seen, h->after, err) == 0)
        rc = compare_walks(h, &own, &seen, err);
    end_hidden_side(&own);
    end_hidden_side(&seen);
    return rc;
}

int
browse_hidden_list(struct browse_image *im, struct browse_hidden *h, struct err *err)
{
    struct layer_merge_node root;
    struct arena arena;
    int rc;

    arena_init(&arena, HIDDEN_MEMORY);
    im->merge.n = h->layer + 1; /* layers below hide nothing, and need no index */
    rc = browse_find(im, &arena, bytes_of("", 0), true, &root, err);
    arena_reset(&arena);
    if (rc < 0)
        return -1;
    do {
        browse_alone(im, h->layer);
        h->again(h->arg);
        rc = walk_both(im, h, err);
    } while (rc != 0 && err->code == ERR_CORRUPT && browse_mend(im, err) == 0);
    return rc;
}
