#include "domain/inside/layer_walk.h"
#include "util/buf.h"
#include "util/mem.h"

/* A path of a merged tree is as long as a path of one of its layers. */
#define PATH_MAX_BYTES ((size_t)2 * LAYER_PATH_MAX)

/* Limit of open lists. Each holds a block of each layer's index. The list that is furthest from the
 * current place is closed, and opened again when the walk comes back. */
#define OPEN_MAX 256u

/* A directory that was returned, and whose contents come later: after all names beside it that
 * begin with its name and continue with a byte smaller than a slash. So among the waiting
 * directories each name is the beginning of the next one. */
struct waiting {
    struct waiting *below;
    size_t name_n, parts_n;
    char name[LAYER_NAME_MAX];
    struct layer_merge_part parts[];
};

/* A directory whose contents are being returned. */
struct level {
    struct level *up;
    struct waiting *self; /* its name is not valid */
    size_t path_n;        /* length of its path, with the slash */
    struct waiting *waiting;
    struct layer_merge_list *list; /* NULL: to be opened from the name `from` on */
    char from[LAYER_NAME_MAX + 1];
    size_t from_n;
    struct layer_merge_node next; /* while it is open */
    bool over;                    /* at the end, */
    bool given;                   /* or it was returned already */
};

struct layer_walk {
    struct layer_merge *m;
    enum layer_walk_order order;
    struct level *top;
    struct buf path;
    size_t open; /* lists of layers */
};

/* ---- levels ---- */

static struct waiting *
waiting_new(struct bytes name, const struct layer_merge_node *dir, struct waiting *below)
{
    struct waiting *d = mem_alloc(sizeof *d + dir->parts_n * sizeof *d->parts);

    d->below = below;
    d->name_n = name.n < sizeof d->name ? name.n : sizeof d->name;
    memcpy(d->name, name.p, d->name_n);
    d->parts_n = dir->parts_n;
    if (dir->parts_n > 0)
        memcpy(d->parts, dir->parts, dir->parts_n * sizeof *d->parts);
    return d;
}

static void
close_list(struct layer_walk *w, struct level *v)
{
    if (v->list == NULL)
        return;
    layer_merge_leave(v->list);
    v->list = NULL;
    w->open -= v->self->parts_n;
}

/* Enters the directory. The walk owns it from now on, also on failure. */
static int
enter_directory(struct layer_walk *w, struct waiting *dir, struct err *err)
{
    struct level *v = mem_alloc(sizeof *v);

    v->self = dir;
    v->up = w->top;
    w->top = v;
    if (v->up != NULL) {
        buf_cut(&w->path, v->up->path_n);
        buf_put(&w->path, dir->name, dir->name_n);
        buf_putc(&w->path, '/');
    }
    v->path_n = w->path.n;
    return buf_ok(&w->path) ? 0 : err_set(err, ERR_CORRUPT, "an index is damaged: a path");
}

static void
leave(struct layer_walk *w)
{
    struct level *v = w->top;

    close_list(w, v);
    w->top = v->up;
    while (v->waiting != NULL) {
        struct waiting *d = v->waiting;

        v->waiting = d->below;
        free(d);
    }
    free(v->self);
    free(v);
}

static int
open_list(struct layer_walk *w, struct level *v, struct err *err)
{
    struct layer_merge_node dir = {.parts = v->self->parts, .parts_n = v->self->parts_n};

    v->list = layer_merge_list(w->m, &dir, bytes_of(v->from, v->from_n), err);
    if (v->list == NULL)
        return -1;
    w->open += v->self->parts_n;
    return 0;
}

/* Closes the list that is furthest from the top, except the top itself. */
static void
close_some(struct layer_walk *w)
{
    while (w->open > OPEN_MAX) {
        struct level *outermost = NULL;

        for (struct level *v = w->top->up; v != NULL; v = v->up)
            if (v->list != NULL)
                outermost = v;
        if (outermost == NULL)
            return;
        close_list(w, outermost);
    }
}

/* Reads this directory's next entry into `next`, unless it is there already. */
static int
look_at_level(struct layer_walk *w, struct level *v, struct err *err)
{
    int rc;

    if (v->over || (v->list != NULL && !v->given))
        return 0;
    if (v->list == NULL && open_list(w, v, err) != 0)
        return -1;
    close_some(w);
    rc = layer_merge_next(v->list, &v->next, err);
    if (rc < 0)
        return -1;
    v->given = false;
    v->over = rc == 0;
    if (v->over) {
        close_list(w, v);
        return 0;
    }
    v->from_n = v->next.entry.name.n;
    memcpy(v->from, v->next.entry.name.p, v->from_n);
    return 0;
}

/* ---- order ---- */

/* True if the contents of directory `dir` come before the name beside it. */
static bool
before(const struct layer_walk *w, const struct waiting *dir, struct bytes name)
{
    size_t shorter = dir->name_n < name.n ? dir->name_n : name.n;
    int order = memcmp(dir->name, name.p, shorter);

    if (w->order == LAYER_WALK_TREE || order < 0)
        return true;
    if (order > 0 || name.n <= dir->name_n)
        return false;
    return ((const unsigned char *)name.p)[dir->name_n] > '/';
}

/* Restores the state after a path: in directory v, names up to `name` were returned. Directories
 * whose contents come later are waiting. */
static int
wait_before(struct layer_walk *w, struct level *v, struct bytes name, struct err *err)
{
    for (size_t n = 1; n < name.n && n <= LAYER_NAME_MAX; n++) {
        struct waiting *d;

        if (((const unsigned char *)name.p)[n] >= '/')
            continue;
        v->from_n = n;
        memcpy(v->from, name.p, n);
        if (look_at_level(w, v, err) != 0)
            return -1;
        if (v->over || !bytes_equal(v->next.entry.name, bytes_of(name.p, n)) ||
            v->next.entry.type != LAYER_DIR) {
            close_list(w, v);
            v->over = false;
            continue;
        }
        d = waiting_new(v->next.entry.name, &v->next, v->waiting);
        close_list(w, v);
        if (d == NULL)
            return -1;
        v->waiting = d;
    }
    return 0;
}

/* The directory of that name in v. NULL: there is none, or it failed (*rc is -1). */
static struct waiting *
directory(struct layer_walk *w, struct level *v, struct bytes name, int *rc, struct err *err)
{
    struct waiting *d = NULL;

    *rc = 0;
    if (name.n > LAYER_NAME_MAX)
        return NULL;
    v->from_n = name.n;
    memcpy(v->from, name.p, name.n);
    *rc = look_at_level(w, v, err);
    if (*rc == 0 && !v->over && bytes_equal(v->next.entry.name, name) &&
        v->next.entry.type == LAYER_DIR) {
        d = waiting_new(name, &v->next, NULL);
        *rc = d != NULL ? 0 : -1;
    }
    close_list(w, v);
    v->over = false;
    return d;
}

/* Continues in v with the first name that is larger than `name` and `next`. A name beside a
 * directory of the path comes after the directory's contents if it is larger, in bytes, than the
 * directory's name with a slash. */
static void
begin_behind(struct level *v, struct bytes name, char next)
{
    v->from_n = name.n < LAYER_NAME_MAX ? name.n : LAYER_NAME_MAX;
    memcpy(v->from, name.p, v->from_n);
    v->from[v->from_n++] = next;
}

static int
skip_to(struct layer_walk *w, struct bytes after, struct err *err)
{
    while (after.n > 0) {
        const char *p = after.p, *slash = memchr(p, '/', after.n);
        struct bytes name = bytes_of(p, slash != NULL ? (size_t)(slash - p) : after.n);
        struct level *v = w->top;
        struct waiting *d;
        int rc;

        if (w->order == LAYER_WALK_BYTES && wait_before(w, v, name, err) != 0)
            return -1;
        d = directory(w, v, name, &rc, err);
        if (rc != 0)
            return -1;
        begin_behind(v, name, slash == NULL || w->order == LAYER_WALK_TREE ? '\0' : '/');
        if (slash == NULL && d != NULL) {
            d->below = v->waiting;
            v->waiting = d;
        }
        if (slash == NULL || d == NULL)
            return 0;
        if (enter_directory(w, d, err) != 0)
            return -1;
        after = bytes_of(slash + 1, after.n - name.n - 1);
    }
    return 0;
}

/* ---- */

struct layer_walk *
layer_walk_begin(struct layer_merge *m, const struct layer_merge_node *dir,
                 enum layer_walk_order order, struct bytes after, struct err *err)
{
    struct layer_walk *w = mem_alloc(sizeof *w);
    struct waiting *root;

    w->m = m;
    w->order = order;
    buf_init(&w->path, PATH_MAX_BYTES);
    root = waiting_new(bytes_of("", 0), dir, NULL);
    if (root == NULL || enter_directory(w, root, err) != 0 || skip_to(w, after, err) != 0) {
        layer_walk_end(w);
        return NULL;
    }
    return w;
}

static int
give_node(struct layer_walk *w, struct bytes *path, struct layer_merge_node *node, struct err *err)
{
    struct level *v = w->top;

    if (v->next.entry.type == LAYER_DIR) {
        struct waiting *d = waiting_new(v->next.entry.name, &v->next, v->waiting);

        if (d == NULL)
            return -1;
        v->waiting = d;
    }
    buf_cut(&w->path, v->path_n);
    buf_put(&w->path, v->next.entry.name.p, v->next.entry.name.n);
    if (!buf_ok(&w->path))
        return err_set(err, ERR_CORRUPT, "an index is damaged: a path");
    *path = buf_bytes(&w->path);
    *node = v->next;
    v->given = true;
    return 1;
}

int
layer_walk_next(struct layer_walk *w, struct bytes *path, struct layer_merge_node *node,
                struct err *err)
{
    while (w->top != NULL) {
        struct level *v = w->top;

        if (look_at_level(w, v, err) != 0)
            return -1;
        if (v->waiting != NULL && (v->over || before(w, v->waiting, v->next.entry.name))) {
            struct waiting *d = v->waiting;

            v->waiting = d->below;
            if (enter_directory(w, d, err) != 0)
                return -1;
        } else if (v->over) {
            leave(w);
        } else {
            return give_node(w, path, node, err);
        }
    }
    return 0;
}

void
layer_walk_end(struct layer_walk *w)
{
    if (w == NULL)
        return;
    while (w->top != NULL)
        leave(w);
    buf_free(&w->path);
    free(w);
}
