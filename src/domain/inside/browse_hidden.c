#include "domain/inside/browse_hidden.h"
#include "domain/inside/layer_find.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"
#include "util/clock.h"

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

/* Both walks have the same order, so one pass compares them. */
struct hidden_pass {
    struct browse_hidden *h;
    struct hidden_side own, seen;
    size_t given;
    unsigned looks;
};

/* Everything up to this path is compared. 1: the time is over, and the next page begins behind the
 * path; 0; -1. */
static int
end_in_time(struct hidden_pass *w, struct bytes path, struct err *err)
{
    if (++w->looks % LAYER_FIND_LOOKS != 0 || clock_mono_ms() < w->h->until)
        return 0;
    w->h->more = true;
    return layer_find_note(w->h->last, path, err) != 0 ? -1 : 1;
}

/* Moves `seen` to the path of `own` or behind it. As end_in_time. */
static int
catch_up(struct hidden_pass *w, int *order, struct err *err)
{
    int rc = 0;

    *order = 1;
    while (w->seen.has && rc == 0 && (*order = bytes_compare(w->seen.path, w->own.path)) < 0) {
        rc = end_in_time(w, w->seen.path, err);
        if (rc == 0)
            rc = step_hidden_side(&w->seen, err);
    }
    if (!w->seen.has)
        *order = 1;
    return rc;
}

/* The path of `own`, if no container sees it. As fn. */
static int
tell_hidden(struct hidden_pass *w, int order, struct err *err)
{
    struct browse_hidden *h = w->h;
    int rc;

    if (w->own.node.entry.type == LAYER_DIR || (order == 0 && w->seen.node.layer == h->layer))
        return 0;
    if (w->given++ == h->n) {
        h->more = true;
        return 1;
    }
    if (layer_find_note(h->last, w->own.path, err) != 0)
        return -1;
    rc = h->fn(h->arg, w->own.path, &w->own.node, order == 0, err);
    h->more = rc > 0;
    return rc;
}

static int
compare_walks(struct hidden_pass *w, struct err *err)
{
    int order, rc = 0;

    while (w->own.has && rc == 0) {
        rc = catch_up(w, &order, err);
        if (rc == 0)
            rc = tell_hidden(w, order, err);
        if (rc == 0)
            rc = end_in_time(w, w->own.path, err);
        if (rc == 0)
            rc = step_hidden_side(&w->own, err);
    }
    return rc < 0 ? -1 : 0;
}

static int
walk_both(struct browse_image *im, struct browse_hidden *h, struct err *err)
{
    struct layer_merge above = {.layers = im->indexes, .n = h->layer + 1};
    struct hidden_pass w = {.h = h, .own.merge = &im->merge, .seen.merge = &above};
    int rc = -1;

    h->more = false;
    if (begin_hidden_side(&w.own, h->after, err) == 0 &&
        begin_hidden_side(&w.seen, h->after, err) == 0)
        rc = compare_walks(&w, err);
    end_hidden_side(&w.own);
    end_hidden_side(&w.seen);
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
