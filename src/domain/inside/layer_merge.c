#include "domain/inside/layer_merge.h"
#include "storage/layers/layer_path.h"
#include "util/arena.h"
#include "util/mem.h"

/* Limit of hard links that lead to each other, through lower layers. The paths to them may contain
 * further links, so each also costs this many steps, */
#define LOWER_MAX 40u
#define LOWER_STEPS 200u
/* and its path may use this much memory. */
#define LOWER_ARENA_MAX ((size_t)1 << 20)

static int
too_much(struct err *err)
{
    return err_set(err, ERR_NOT_BROWSABLE, "it takes too long to look through this image");
}

static int
spend_steps(struct layer_merge *m, uint64_t n, struct err *err)
{
    if (m->steps < n) {
        m->steps = 0;
        return too_much(err);
    }
    m->steps -= n;
    return 0;
}

static int
spend(struct layer_merge *m, struct err *err)
{
    return spend_steps(m, 1, err);
}

/* ---- one name, from the top layer down ---- */

struct merged {
    struct layer_merge_node node;
    struct layer_merge_part *parts; /* room for one part per layer */
    bool any;                       /* node is set */
    bool opaque;                    /* the contents of lower directories are hidden, */
    bool over;                      /* nor anything below */
};

static void
inherit_attributes(struct layer_entry *to, const struct layer_entry *from)
{
    to->mode = from->mode;
    to->uid = from->uid;
    to->gid = from->gid;
    to->mtime = from->mtime;
    to->nanos = from->nanos;
    to->xattrs = from->xattrs;
    to->flags = from->flags;
}

/* Applies the record of the next layer below. An opaque directory hides the contents of lower ones;
 * but a directory without attributes so far still takes its attributes from below. */
static void
merge(struct merged *m, size_t layer, const struct layer_entry *e)
{
    bool exists = e->type != LAYER_NONE || (e->flags & LAYER_LOWER) != 0;
    bool is_dir = e->type == LAYER_DIR;

    if (exists && !m->any) {
        m->any = true;
        m->node = (struct layer_merge_node){.entry = *e, .layer = layer};
    } else if (is_dir && (m->node.entry.flags & LAYER_IMPLICIT) != 0 &&
               (e->flags & LAYER_IMPLICIT) == 0) {
        inherit_attributes(&m->node.entry, e);
        m->node.layer = layer;
    }
    if (is_dir && !m->opaque)
        m->parts[m->node.parts_n++] = (struct layer_merge_part){(uint32_t)layer, e->dir};
    m->opaque = m->opaque || (is_dir && (e->flags & LAYER_OPAQUE) != 0);
    m->over = (e->flags & LAYER_HIDES_BELOW) != 0 || (exists && !is_dir) ||
              (m->opaque && (m->node.entry.flags & LAYER_IMPLICIT) == 0);
}

/* ---- a path ---- */

/* The directories on the path so far, so that ".." finds back. The parts of all levels are in one
 * array. */
struct level {
    size_t first, n;
    struct layer_merge_node node;
};

struct walk {
    struct layer_merge *m;
    struct arena *arena;
    size_t base; /* the topmost layer that is used */
    unsigned depth;
    struct layer_merge_part *parts;
    size_t parts_room;
    struct level *levels;
    size_t levels_n, levels_room;
};

static int find_from(struct layer_merge *m, struct arena *arena, size_t base, unsigned depth,
                     struct bytes path, bool follow, struct layer_merge_node *node,
                     struct err *err);

static int
take_target(struct arena *arena, struct layer_merge_node *node,
            const struct layer_merge_node *target, struct err *err)
{
    struct layer_entry is = target->entry;

    is.name = node->entry.name;
    is.flags &= LAYER_SPARSE;
    if (is.type != LAYER_SYMLINK) {
        is.link = node->entry.link;
        is.flags |= LAYER_HARD_LINK;
    } else if ((is.link.p = arena_copy(arena, is.link.p, is.link.n)) == NULL) {
        return arena_full(err);
    }
    node->entry = is;
    node->layer = target->layer;
    return 0;
}

/* Resolves a hard link whose target is in a lower layer, and copies the target's entry to the node.
 * 0 (also if there is no target), or -1. */
static int
resolve_lower(struct layer_merge *m, struct arena *arena, unsigned depth,
              struct layer_merge_node *node, struct err *err)
{
    struct layer_merge_node target;
    struct arena own;
    int rc;

    if ((node->entry.flags & LAYER_LOWER) == 0 || depth == LOWER_MAX)
        return 0;
    if (spend_steps(m, LOWER_STEPS, err) != 0)
        return -1;
    arena_init(&own, LOWER_ARENA_MAX);
    rc = find_from(m, &own, node->layer + 1, depth + 1, node->entry.link, false, &target, err);
    if (rc > 0 && target.entry.type != LAYER_DIR && target.entry.type != LAYER_NONE)
        rc = take_target(arena, node, &target, err);
    else if (rc < 0 && err->code == ERR_NO_FILE)
        rc = 0;
    arena_reset(&own);
    return rc < 0 ? -1 : 0;
}

/* Makes room for one more level, with at most one part per layer. */
static struct layer_merge_part *
push_level(struct walk *w)
{
    size_t used = 0;

    if (w->levels_n > 0)
        used = w->levels[w->levels_n - 1].first + w->levels[w->levels_n - 1].n;
    w->levels = mem_grow(w->levels, &w->levels_room, w->levels_n + 1, sizeof *w->levels);
    w->parts = mem_grow(w->parts, &w->parts_room, used + w->m->n, sizeof *w->parts);
    w->levels[w->levels_n++] = (struct level){.first = used};
    return w->parts + used;
}

static struct level *
top(const struct walk *w)
{
    return &w->levels[w->levels_n - 1];
}

/* Adds the result as the path's last level. */
static int
keep_merged(struct walk *w, const struct merged *merged, struct err *err)
{
    struct layer_merge_node *node = &top(w)->node;
    struct bytes link = merged->node.entry.link;
    const char *copy = "";

    if (link.n > 0 && (copy = arena_copy(w->arena, link.p, link.n)) == NULL)
        return w->depth > 0 ? too_much(err) : arena_full(err);
    top(w)->n = merged->node.parts_n;
    *node = merged->node;
    node->entry.name = bytes_of("", 0);
    node->entry.link = bytes_of(copy, link.n);
    return resolve_lower(w->m, w->arena, w->depth, node, err);
}

/* Looks the name up in the last level, and adds the result. 1, 0 (there is none), -1. */
static int
look_in_layers(struct walk *w, struct bytes name, struct err *err)
{
    struct level from = *top(w);
    struct merged merged = {.parts = push_level(w)};
    char link[LAYER_PATH_MAX];

    for (size_t i = 0; i < from.n && !merged.over; i++) {
        struct layer_merge_part part = w->parts[from.first + i];
        bool any = merged.any;
        struct layer_entry e;
        int rc;

        if (spend(w->m, err) != 0)
            return -1;
        rc = layer_index_get(w->m->layers[part.layer], part.dir, name, &e, err);
        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        merge(&merged, part.layer, &e);
        /* The next layer may have the same index. */
        if (!any && merged.any && e.link.n > 0)
            merged.node.entry.link = bytes_of(memcpy(link, e.link.p, e.link.n), e.link.n);
    }
    if (!merged.any) {
        w->levels_n--;
        return 0;
    }
    return keep_merged(w, &merged, err) == 0 ? 1 : -1;
}

static int
look_root(struct walk *w, struct err *err)
{
    struct merged merged = {.parts = push_level(w)};

    for (size_t i = w->base; i < w->m->n && !merged.over; i++) {
        struct layer_index *x = w->m->layers[i];
        struct layer_entry e;
        int rc;

        if (!layer_index_info(x)->browsable)
            return err_set(err, ERR_NOT_BROWSABLE, "a layer is not browsable: %s",
                           layer_index_info(x)->remark);
        if (spend(w->m, err) != 0)
            return -1;
        rc = layer_index_root(x, &e, err);
        if (rc == 0)
            return err_set(err, ERR_CORRUPT, "an index is damaged: it has no root");
        if (rc < 0)
            return -1;
        merge(&merged, i, &e);
    }
    if (!merged.any)
        merged.node.entry = (struct layer_entry){.type = LAYER_DIR, .mode = 0755};
    return keep_merged(w, &merged, err);
}

/* Resolves one part of the path; last: it is the last part. 1, 0 (there is none), -1. */
static int
take_step(struct walk *w, struct layer_path_walk *path, struct bytes name, bool last, bool follow,
          struct err *err)
{
    struct bytes link;
    int rc;

    if (top(w)->node.entry.type != LAYER_DIR)
        return 0;
    if (bytes_equal(name, bytes_str(".."))) {
        w->levels_n -= w->levels_n > 1;
        return spend(w->m, err) == 0 ? 1 : -1;
    }
    rc = look_in_layers(w, name, err);
    if (rc <= 0 || top(w)->node.entry.type != LAYER_SYMLINK || (last && !follow))
        return rc;
    link = top(w)->node.entry.link;
    w->levels_n = link.n > 0 && *(const char *)link.p == '/' ? 1 : w->levels_n - 1;
    if (!layer_path_follow(path, link))
        return err_set(err, ERR_NO_FILE, "too many symbolic links");
    return 1;
}

static int
walk_path(struct walk *w, struct bytes path, bool follow, struct err *err)
{
    struct layer_path_walk rest, behind;
    struct bytes name, next;
    int rc = look_root(w, err) == 0 ? 1 : -1;

    layer_path_begin(&rest, path);
    while (rc > 0 && layer_path_step(&rest, &name)) {
        behind = rest;
        rc = take_step(w, &rest, name, !layer_path_step(&behind, &next), follow, err);
    }
    return rc;
}

static int
find_from(struct layer_merge *m, struct arena *arena, size_t base, unsigned depth,
          struct bytes path, bool follow, struct layer_merge_node *node, struct err *err)
{
    struct walk w = {.m = m, .arena = arena, .base = base, .depth = depth};
    int rc = walk_path(&w, path, follow, err);

    if (rc > 0) {
        struct level *found = top(&w);
        struct layer_merge_part *parts = arena_array(arena, found->n, sizeof *parts);

        *node = found->node;
        node->parts = parts;
        node->parts_n = found->n;
        if (parts == NULL)
            rc = depth > 0 ? too_much(err) : arena_full(err);
        else if (found->n > 0)
            memcpy(parts, w.parts + found->first, found->n * sizeof *parts);
    }
    free(w.parts);
    free(w.levels);
    return rc;
}

int
layer_merge_find(struct layer_merge *m, struct arena *arena, struct bytes path, bool follow,
                 struct layer_merge_node *node, struct err *err)
{
    return find_from(m, arena, 0, 0, path, follow, node, err);
}

/* ---- a directory ---- */

struct source {
    struct layer_index_list list;
    struct layer_entry entry; /* the next record, if there is one */
    uint32_t layer;
    bool has, used; /* used: by the entry that was returned last */
};

struct layer_merge_list {
    struct layer_merge *m;
    struct arena arena; /* of the entry that was returned last */
    struct layer_merge_part *parts;
    size_t n;
    struct source sources[];
};

/* Memory for following hard links into lower layers, for one entry. */
#define LIST_ARENA_MAX ((size_t)4 << 20)

static int
advance(struct layer_merge_list *l, struct source *s, struct err *err)
{
    int rc = spend(l->m, err) == 0 ? layer_index_next(&s->list, &s->entry, err) : -1;

    s->has = rc > 0;
    s->used = false;
    return rc < 0 ? -1 : 0;
}

struct layer_merge_list *
layer_merge_list(struct layer_merge *m, const struct layer_merge_node *dir, struct bytes from,
                 struct err *err)
{
    struct layer_merge_list *l = mem_alloc(sizeof *l + dir->parts_n * sizeof *l->sources);

    l->parts = mem_array(dir->parts_n + 1, sizeof *l->parts);
    l->m = m;
    arena_init(&l->arena, LIST_ARENA_MAX);
    for (size_t i = 0; i < dir->parts_n; i++) {
        struct source *s = &l->sources[l->n++];

        s->layer = dir->parts[i].layer;
        if (layer_index_list(m->layers[s->layer], dir->parts[i].dir, from, &s->list, err) != 0 ||
            advance(l, s, err) != 0) {
            layer_merge_leave(l);
            return NULL;
        }
    }
    return l;
}

void
layer_merge_leave(struct layer_merge_list *l)
{
    if (l == NULL)
        return;
    for (size_t i = 0; i < l->n; i++)
        layer_index_leave(&l->sources[i].list);
    arena_reset(&l->arena);
    free(l->parts);
    free(l);
}

/* Finds the smallest of the parts' next names. False at the end. */
static bool
next_name(const struct layer_merge_list *l, struct bytes *name)
{
    bool any = false;

    for (size_t i = 0; i < l->n; i++) {
        const struct source *s = &l->sources[i];

        if (s->has && (!any || bytes_compare(s->entry.name, *name) < 0)) {
            *name = s->entry.name;
            any = true;
        }
    }
    return any;
}

int
layer_merge_next(struct layer_merge_list *l, struct layer_merge_node *node, struct err *err)
{
    struct merged merged;
    struct bytes name = bytes_of("", 0);

    do {
        for (size_t i = 0; i < l->n; i++)
            if (l->sources[i].used && advance(l, &l->sources[i], err) != 0)
                return -1;
        if (!next_name(l, &name))
            return 0;
        merged = (struct merged){.parts = l->parts};
        for (size_t i = 0; i < l->n; i++) {
            struct source *s = &l->sources[i];

            s->used = s->has && bytes_equal(s->entry.name, name);
            if (s->used && !merged.over)
                merge(&merged, s->layer, &s->entry);
        }
    } while (!merged.any);
    *node = merged.node;
    node->parts = l->parts;
    arena_reset(&l->arena);
    return resolve_lower(l->m, &l->arena, 0, node, err) == 0 ? 1 : -1;
}
