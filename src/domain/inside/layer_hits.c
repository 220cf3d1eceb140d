#include "domain/inside/layer_hits.h"
#include <string.h>
#include "util/clock.h"
#include "util/mem.h"

/* A directory that was seen. Its entry comes before its contents, since numbers ascend. */
struct hits_dir {
    uint32_t parent;
    uint32_t name_at; /* in hits->names */
    uint16_t name_n;
    bool is_known;
};

struct hits {
    const struct layer_pattern *p;
    struct bytes base;
    uint64_t until;
    struct buf *paths;
    struct layer_hits *out;
    struct hits_dir *dirs;
    size_t dirs_room, dirs_max;
    struct buf names;
    struct buf path; /* of the directory `dir`, with a slash; then of an entry */
    uint32_t dir;
    size_t dir_n;
};

static int
add_hits_dir(struct hits *h, uint32_t parent, const struct layer_entry *e, struct err *err)
{
    size_t before = h->dirs_room;

    if (e->dir >= h->dirs_max)
        return sorted_file_corrupt(err, "the number of a directory");
    h->dirs = mem_grow(h->dirs, &h->dirs_room, (size_t)e->dir + 1, sizeof *h->dirs);
    memset(h->dirs + before, 0, (h->dirs_room - before) * sizeof *h->dirs);
    h->dirs[e->dir] = (struct hits_dir){parent, (uint32_t)h->names.n, (uint16_t)e->name.n, true};
    buf_put(&h->names, e->name.p, e->name.n);
    return buf_ok(&h->names) ? 0 : sorted_file_corrupt(err, "the names of directories");
}

/* Puts the path of the directory in front of h->path. Parents have smaller numbers. */
static int
put_dir_path(struct hits *h, uint32_t dir, struct err *err)
{
    const struct hits_dir *d;

    if (dir == LAYER_INDEX_ROOT)
        return 0;
    if (dir >= h->dirs_room || !h->dirs[dir].is_known)
        return sorted_file_corrupt(err, "a directory without an entry");
    d = &h->dirs[dir];
    if (d->parent >= dir)
        return sorted_file_corrupt(err, "the parent of a directory");
    if (put_dir_path(h, d->parent, err) != 0)
        return -1;
    buf_put(&h->path, h->names.p + d->name_at, d->name_n);
    buf_putc(&h->path, '/');
    return buf_ok(&h->path) ? 0 : sorted_file_corrupt(err, "a path");
}

static int
set_hits_dir(struct hits *h, uint32_t dir, struct err *err)
{
    if (dir == h->dir)
        return 0;
    buf_reset(&h->path);
    if (put_dir_path(h, dir, err) != 0)
        return -1;
    h->dir = dir;
    h->dir_n = h->path.n;
    return 0;
}

static bool
may_match(const struct hits *h, const struct layer_entry *e)
{
    if (e->type == LAYER_NONE && (e->flags & (LAYER_HARD_LINK | LAYER_LOWER)) == 0)
        return false;
    if (h->base.n > 0)
        return bytes_equal(e->name, h->base);
    return h->p->whole || layer_find_fits(h->p, e->name, e->type);
}

static int
look_at_hit(void *arg, uint32_t dir, const struct layer_entry *e, struct err *err)
{
    struct hits *h = arg;

    h->out->is_over = ++h->out->entries % LAYER_FIND_LOOKS == 0 && clock_mono_ms() >= h->until;
    if (h->out->is_over)
        return 1;
    if (e->type == LAYER_DIR && add_hits_dir(h, dir, e, err) != 0)
        return -1;
    if (!may_match(h, e))
        return 0;
    if (set_hits_dir(h, dir, err) != 0)
        return -1;
    buf_cut(&h->path, h->dir_n);
    buf_put(&h->path, e->name.p, e->name.n);
    if (!buf_ok(&h->path))
        return sorted_file_corrupt(err, "a path");
    if (!layer_find_fits(h->p, buf_bytes(&h->path), e->type))
        return 0;
    buf_put(h->paths, h->path.p, h->path.n);
    buf_putc(h->paths, '\0');
    h->out->n++;
    return buf_ok(h->paths) ? 0 : sorted_file_corrupt(err, "its names");
}

int
layer_hits_find(struct layer_index *x, const struct layer_pattern *p, struct bytes base,
                uint64_t until, struct buf *paths, struct layer_hits *out, struct err *err)
{
    struct hits h = {.p = p,
                     .base = base,
                     .until = until,
                     .paths = paths,
                     .out = out,
                     .dirs_max = layer_index_info(x)->names + 2};
    int rc = base.n > 0 ? layer_index_may_have(x, base, err) : 1;

    *out = (struct layer_hits){.entries = 1};
    if (rc <= 0)
        return rc;
    buf_init(&h.names, LAYER_HITS_MAX);
    buf_init(&h.path, (size_t)2 * LAYER_PATH_MAX);
    rc = layer_index_each(x, look_at_hit, &h, err);
    buf_free(&h.names);
    buf_free(&h.path);
    free(h.dirs);
    return out->is_over ? 0 : rc;
}
