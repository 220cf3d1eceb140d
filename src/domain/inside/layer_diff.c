#include "domain/inside/layer_diff.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/clock.h"
#include "util/mem.h"

/* Bytes of each file that are compared at a time. */
#define PIECE ((size_t)256 << 10)

/* One side of the walk. */
struct side {
    struct layer_diff_side *is;
    struct arena arena;
    struct layer_walk *walk;
    bool has;
    struct bytes path;
    struct layer_merge_node node;
    char *piece;
};

struct diff {
    struct side from, to;
    int (*fn)(void *arg, const struct layer_diff_change *c, struct err *err);
    void *arg;
    struct buf after;  /* the last path that was compared */
    uint64_t spent_ms; /* on reading files */
    bool is_over;      /* no more changes are wanted */
};

const char *
layer_diff_name(unsigned i)
{
    static const char *const names[LAYER_DIFF_WHATS] = {
        "type", "mode", "uid", "gid", "size", "mtime", "link", "device", "content",
    };

    return names[i];
}

/* ---- two files ---- */

static int
fill_side_piece(void *arg, struct bytes b, struct err *err)
{
    char **at = arg;

    (void)err;
    memcpy(*at, b.p, b.n);
    *at += b.n;
    return 0;
}

static int
read_side_piece(struct side *s, uint64_t from, size_t n, struct err *err)
{
    char *at;

    if (s->piece == NULL)
        s->piece = mem_alloc(PIECE);
    at = s->piece;
    return layer_files_read(&s->is->files, &s->node, from, n, fill_side_piece, &at, err);
}

/* Compares the bytes of both: 1 equal, 0 different, -1. */
static int
same_bytes(struct diff *d, uint64_t until, struct err *err)
{
    uint64_t size = d->from.node.entry.size;

    for (uint64_t at = 0; at < size; at += PIECE) {
        size_t n = size - at < PIECE ? (size_t)(size - at) : PIECE;

        if (clock_mono_ms() >= until)
            return err_set(err, ERR_NOT_BROWSABLE, "comparing the files takes too long");
        if (read_side_piece(&d->from, at, n, err) != 0 || read_side_piece(&d->to, at, n, err) != 0)
            return -1;
        if (memcmp(d->from.piece, d->to.piece, n) != 0)
            return 0;
    }
    return 1;
}

static bool
same_place(const struct diff *d)
{
    const struct side *a = &d->from, *b = &d->to;

    return a->node.entry.data == b->node.entry.data &&
           digest_equal(&a->is->layers[a->node.layer], &b->is->layers[b->node.layer]);
}

static uint64_t
reading_ms_left(const struct diff *d)
{
    return d->spent_ms < LAYER_DIFF_MS ? LAYER_DIFF_MS - d->spent_ms : 0;
}

static int
compare_content(struct diff *d, struct layer_diff_change *c, struct err *err)
{
    uint64_t begin;
    int same;

    if (d->from.node.entry.size != d->to.node.entry.size) {
        c->changed |= LAYER_DIFF_SIZE | LAYER_DIFF_CONTENT;
        return 0;
    }
    if (same_place(d))
        return 0;
    begin = clock_mono_ms();
    same = same_bytes(d, begin + reading_ms_left(d), err);
    d->spent_ms += clock_mono_ms() - begin;
    if (same < 0 && err->code != ERR_NOT_BROWSABLE)
        return -1;
    if (same < 0)
        c->unknown = LAYER_DIFF_CONTENT;
    if (same == 0)
        c->changed |= LAYER_DIFF_CONTENT;
    return 0;
}

/* ---- two entries ---- */

static unsigned
if_other(uint64_t a, uint64_t b, unsigned what)
{
    return a != b ? what : 0;
}

static int
compare_nodes(struct diff *d, struct layer_diff_change *c, struct err *err)
{
    const struct layer_entry *a = &d->from.node.entry, *b = &d->to.node.entry;

    c->changed = if_other(a->type, b->type, LAYER_DIFF_TYPE) |
                 if_other(a->uid, b->uid, LAYER_DIFF_UID) |
                 if_other(a->gid, b->gid, LAYER_DIFF_GID) |
                 if_other((uint64_t)a->mtime, (uint64_t)b->mtime, LAYER_DIFF_MTIME) |
                 if_other(a->nanos, b->nanos, LAYER_DIFF_MTIME);
    if (a->type != LAYER_SYMLINK && b->type != LAYER_SYMLINK)
        c->changed |= if_other(a->mode, b->mode, LAYER_DIFF_MODE);
    if (a->type != b->type)
        return 0;
    if (a->type == LAYER_SYMLINK && !bytes_equal(a->link, b->link))
        c->changed |= LAYER_DIFF_LINK;
    if (a->type == LAYER_CHAR || a->type == LAYER_BLOCK)
        c->changed |= if_other(a->major, b->major, LAYER_DIFF_DEVICE) |
                      if_other(a->minor, b->minor, LAYER_DIFF_DEVICE);
    return a->type == LAYER_FILE ? compare_content(d, c, err) : 0;
}

/* ---- two walks ---- */

static int
next_of_side(struct side *s, struct err *err)
{
    int rc = layer_walk_next(s->walk, &s->path, &s->node, err);

    s->has = rc > 0;
    return rc < 0 ? -1 : 0;
}

static int
begin_side(struct side *s, struct bytes after, struct err *err)
{
    struct layer_merge *m = s->is->files.merge;
    struct layer_merge_node root;
    int rc = layer_merge_find(m, &s->arena, bytes_of("", 0), true, &root, err);

    if (rc > 0)
        s->walk = layer_walk_begin(m, &root, LAYER_WALK_BYTES, after, err);
    return s->walk != NULL ? next_of_side(s, err) : -1;
}

static void
end_side(struct side *s)
{
    layer_walk_end(s->walk);
    s->walk = NULL;
    arena_reset(&s->arena);
}

/* Compares the two current paths. Negative: `from` comes first. */
static int
order_of_sides(const struct diff *d)
{
    if (!d->from.has || !d->to.has)
        return d->from.has ? -1 : 1;
    return bytes_compare(d->from.path, d->to.path);
}

/* Moves the sides that were compared to their next entry. */
static int
tell_next(struct diff *d, struct err *err)
{
    struct layer_diff_change c = {.op = LAYER_DIFF_CHANGE};
    int which = order_of_sides(d);
    const struct side *is = which < 0 ? &d->from : &d->to;

    c.path = is->path;
    c.dir = is->node.entry.type == LAYER_DIR;
    if (which != 0)
        c.op = which < 0 ? LAYER_DIFF_REMOVE : LAYER_DIFF_ADD;
    else if (compare_nodes(d, &c, err) != 0)
        return -1;
    if (which != 0 || c.changed != 0 || c.unknown != 0) {
        int rc = d->fn(d->arg, &c, err);

        d->is_over = rc > 0;
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    buf_reset(&d->after);
    buf_put(&d->after, c.path.p, c.path.n);
    if (!buf_ok(&d->after))
        return arena_full(err);
    if (which <= 0 && next_of_side(&d->from, err) != 0)
        return -1;
    return which >= 0 ? next_of_side(&d->to, err) : 0;
}

/* From d->after on. */
static int
tell_all(struct diff *d, struct err *err)
{
    int rc = 0;

    if (begin_side(&d->from, buf_bytes(&d->after), err) != 0 ||
        begin_side(&d->to, buf_bytes(&d->after), err) != 0)
        rc = -1;
    while (rc == 0 && !d->is_over && (d->from.has || d->to.has))
        rc = tell_next(d, err);
    end_side(&d->from);
    end_side(&d->to);
    return rc;
}

static bool
same_layers(const struct layer_diff_side *a, const struct layer_diff_side *b)
{
    if (a->files.merge->n != b->files.merge->n)
        return false;
    for (size_t i = 0; i < a->files.merge->n; i++)
        if (!digest_equal(&a->layers[i], &b->layers[i]))
            return false;
    return true;
}

/* Either image may have damaged indexes. */
static int
mend_sides(struct diff *d, struct err *err)
{
    struct err also = *err;

    if (layer_files_mend(&d->from.is->files, err) != 0)
        return -1;
    if (layer_files_mend(&d->to.is->files, &also) == 0)
        return 0;
    *err = also;
    return -1;
}

int
layer_diff(struct layer_diff_side *from, struct layer_diff_side *to, struct bytes after,
           int (*fn)(void *arg, const struct layer_diff_change *c, struct err *err), void *arg,
           struct err *err)
{
    struct diff d = {.from = {.is = from}, .to = {.is = to}, .fn = fn, .arg = arg};
    int rc = 0;

    if (same_layers(from, to))
        return 0;
    buf_init(&d.after, (size_t)8 * LAYER_PATH_MAX);
    buf_put(&d.after, after.p, after.n);
    arena_init(&d.from.arena, (size_t)1 << 20);
    arena_init(&d.to.arena, (size_t)1 << 20);
    do
        rc = tell_all(&d, err);
    while (rc != 0 && mend_sides(&d, err) == 0);
    layer_files_close(&from->files);
    layer_files_close(&to->files);
    buf_free(&d.after);
    free(d.from.piece);
    free(d.to.piece);
    return rc;
}
