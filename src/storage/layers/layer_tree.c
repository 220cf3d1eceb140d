#include "storage/layers/layer_tree.h"
#include "storage/layers/layer_nodes.h"
#include "storage/layers/layer_path.h"
#include "util/mem.h"

#define WHITEOUT ".wh."
#define AUFS ".wh..wh."
#define OPAQUE ".wh..wh..opq"

/* Pieces of sparse files that a tree keeps, all files together. */
#define PIECES_MAX 100000u

struct sparse {
    uint64_t data;
    struct layer_piece *pieces;
    size_t n;
};

struct layer_tree {
    struct layer_nodes nodes;
    uint64_t entries, skipped, work, work_max;
    struct sparse *sparse;
    size_t sparse_n, sparse_room, pieces_n;
};

/* Marks a directory that contains only whiteouts. This flag is never written. */
#define ONLY_HIDES 64

static const struct layer_node implicit = {
    .type = LAYER_DIR, .flags = LAYER_IMPLICIT, .mode = 0755};
static const struct layer_node nothing = {.type = LAYER_NONE};
static const struct layer_node only_hides = {
    .type = LAYER_DIR, .flags = LAYER_IMPLICIT | ONLY_HIDES, .mode = 0755};

static struct layer_node *
node(const struct layer_tree *t, uint32_t i)
{
    return layer_nodes_at(&t->nodes, i);
}

static struct bytes
tree_node_name(const struct layer_node *x)
{
    return bytes_of(x->name, x->name_n);
}

struct layer_tree *
layer_tree_new(const struct layer_limits *limits)
{
    const struct layer_nodes_limits nodes = {limits->entries, limits->names, limits->depth};
    struct layer_tree *t = mem_alloc(sizeof *t);

    t->work_max = limits->work;
    layer_nodes_init(&t->nodes, &nodes);
    return t;
}

void
layer_tree_free(struct layer_tree *t)
{
    if (t == NULL)
        return;
    layer_nodes_free(&t->nodes);
    for (size_t i = 0; i < t->sparse_n; i++)
        free(t->sparse[i].pieces);
    free(t->sparse);
    free(t);
}

/* ---- paths ---- */

static bool
starts(struct bytes name, const char *prefix)
{
    return bytes_start_with(name, bytes_str(prefix));
}

/* A directory with the name of a whiteout is dropped with its contents. */
static bool
is_whiteout(struct bytes name)
{
    return starts(name, WHITEOUT) && (!starts(name, AUFS) || bytes_equal(name, bytes_str(OPAQUE)));
}

/* The purpose of walking a path. FIND: only existing nodes count. MAKE, for an entry: makes
 * directories that are missing, or where something else is in the way. HIDE, for a whiteout: makes
 * missing directories, but has no effect if something else is in the way, because then the place is
 * no directory any more (umoci writes such whiteouts) or is hidden itself. */
enum walk { FIND, MAKE, HIDE };

/* Takes one step from *dir, or follows a link. Returns 1; 0 when there is nothing, or after too
 * many links; -1. */
static int
step_into(struct layer_tree *t, struct layer_path_walk *walk, uint32_t *dir, struct bytes name,
          enum walk what, struct err *err)
{
    uint32_t i;

    if (++t->work > t->work_max)
        return err_set(err, ERR_NOT_BROWSABLE, "unpacking it takes too long");
    if (bytes_equal(name, bytes_str(".."))) {
        *dir = node(t, *dir)->parent;
        return 1;
    }
    if (name.n > LAYER_NAME_MAX || is_whiteout(name))
        return 0; /* reached through a link */
    i = layer_nodes_find(&t->nodes, *dir, name);
    if (what == HIDE && i != LAYER_NODES_NONE && node(t, i)->type != LAYER_DIR)
        return 0;
    if (i != LAYER_NODES_NONE && node(t, i)->type == LAYER_SYMLINK) {
        struct bytes link = bytes_of(node(t, i)->link, node(t, i)->link_n);

        if (link.n > 0 && *(const char *)link.p == '/')
            *dir = LAYER_NODES_ROOT;
        return layer_path_follow(walk, link);
    }
    if (i == LAYER_NODES_NONE || node(t, i)->type != LAYER_DIR) {
        if (what == FIND)
            return 0;
        if (i == LAYER_NODES_NONE &&
            (i = layer_nodes_make(&t->nodes, *dir, name, err)) == LAYER_NODES_NONE)
            return -1;
        layer_nodes_become(&t->nodes, i, what == HIDE ? &only_hides : &implicit);
    }
    if (what == MAKE)
        node(t, i)->flags &= (uint8_t)~ONLY_HIDES;
    *dir = i;
    return 1;
}

/* Walks to the directory of the path's last component. Returns 1; 0 when it isn't there, or can't
 * be; -1. */
static int
walk_to_parent(struct layer_tree *t, const struct layer_path *path, enum walk what, uint32_t *dir,
               struct err *err)
{
    struct layer_path_walk walk;
    struct bytes name;
    int rc = 1;

    *dir = LAYER_NODES_ROOT;
    layer_path_begin(&walk, bytes_of(path->text, layer_path_base(path)));
    while (rc > 0 && layer_path_step(&walk, &name))
        rc = step_into(t, &walk, dir, name, what, err);
    return rc;
}

/* True if a directory in the path has the name of a whiteout. */
static bool
below_whiteout(const struct layer_path *path)
{
    struct bytes rest = bytes_of(path->text, layer_path_base(path)), name;

    while (layer_path_next(&rest, &name))
        if (is_whiteout(name))
            return true;
    return false;
}

/* ---- entries ---- */

static void
keep_pieces(struct layer_tree *t, const struct tar_entry *e)
{
    struct sparse *s;

    if (e->pieces == NULL || e->pieces_n > PIECES_MAX - t->pieces_n)
        return; /* the file is listed, but can't be read */
    t->sparse = mem_grow(t->sparse, &t->sparse_room, t->sparse_n + 1, sizeof *t->sparse);
    s = &t->sparse[t->sparse_n];
    *s = (struct sparse){e->data, mem_alloc(e->pieces_n * sizeof *s->pieces), e->pieces_n};
    memcpy(s->pieces, e->pieces, e->pieces_n * sizeof *s->pieces);
    t->sparse_n++;
    t->pieces_n += e->pieces_n;
}

/* Fills `is` for a hard link. Returns 1; 0 when the link is ignored; -1. */
static int
resolve_hard_link(struct layer_tree *t, const struct tar_entry *e, uint32_t self,
                  struct layer_node *is, struct err *err)
{
    struct layer_path path;
    uint32_t dir, target = LAYER_NODES_NONE;
    int rc;

    if (!layer_path_clean(&path, e->link))
        return err_set(err, ERR_NOT_BROWSABLE, "a link that no file system can hold");
    if (path.depth == 0 || below_whiteout(&path))
        return 0;
    if ((rc = walk_to_parent(t, &path, FIND, &dir, err)) < 0)
        return -1;
    if (rc > 0) {
        size_t base = layer_path_base(&path);
        target = layer_nodes_find(&t->nodes, dir, bytes_of(path.text + base, path.n - base));
    }
    if (target != LAYER_NODES_NONE && (target == self || node(t, target)->type == LAYER_DIR))
        return 0;
    if (target != LAYER_NODES_NONE &&
        (node(t, target)->type != LAYER_NONE || (node(t, target)->flags & LAYER_LOWER) != 0)) {
        unsigned keep = LAYER_SPARSE | LAYER_LOWER;
        *is = *node(t, target);
        is->flags = (uint8_t)(is->flags & keep);
        if (is->type == LAYER_SYMLINK || (is->flags & LAYER_LOWER) != 0) {
            is->flags |= is->type == LAYER_SYMLINK ? 0 : LAYER_HARD_LINK;
            return 1;
        }
    } else {
        is->flags = LAYER_LOWER;
    }
    is->flags |= LAYER_HARD_LINK;
    is->link = layer_nodes_keep(&t->nodes, bytes_of(path.text, path.n), err);
    is->link_n = (uint16_t)path.n;
    return is->link != NULL ? 1 : -1;
}

/* Fills `is` for an entry. Returns 1; 0 when the entry is ignored; -1. */
static int
node_of_entry(struct layer_tree *t, const struct tar_entry *e, uint32_t self, struct layer_node *is,
              struct err *err)
{
    *is = (struct layer_node){.type = (uint8_t)e->type,
                              .mode = (uint16_t)(e->mode & 07777),
                              .uid = e->uid,
                              .gid = e->gid,
                              .mtime = e->mtime,
                              .nanos = e->nanos,
                              .xattrs = e->xattrs};
    if (e->hard_link)
        return resolve_hard_link(t, e, self, is, err);
    switch (e->type) {
    case LAYER_NONE:
        return 0;
    case LAYER_FILE:
        is->u.size = e->size;
        is->data = e->data;
        is->flags = e->sparse ? LAYER_SPARSE : 0;
        if (e->sparse)
            keep_pieces(t, e);
        return 1;
    case LAYER_SYMLINK:
        is->link_n = (uint16_t)e->link.n;
        is->link = layer_nodes_keep(&t->nodes, e->link, err);
        return is->link == NULL ? -1 : e->link.n > 0;
    case LAYER_CHAR:
    case LAYER_BLOCK:
        is->u.device.major = e->major;
        is->u.device.minor = e->minor;
        break;
    case LAYER_DIR:
    case LAYER_FIFO:
        break;
    }
    return 1;
}

/* Puts the entry `name` into the directory. Returns 1; 0 when the entry is ignored; -1. */
static int
put_node(struct layer_tree *t, uint32_t dir, struct bytes name, const struct tar_entry *e,
         struct err *err)
{
    uint32_t i = layer_nodes_find(&t->nodes, dir, name);
    struct layer_node is;
    int rc = node_of_entry(t, e, i, &is, err);

    if (rc <= 0)
        return rc;
    if (i == LAYER_NODES_NONE &&
        (i = layer_nodes_make(&t->nodes, dir, name, err)) == LAYER_NODES_NONE)
        return -1;
    layer_nodes_become(&t->nodes, i, &is);
    return 1;
}

static int
put_whiteout(struct layer_tree *t, uint32_t dir, struct bytes name, struct err *err)
{
    size_t prefix = strlen(WHITEOUT);
    struct bytes hidden = bytes_of((const char *)name.p + prefix, name.n - prefix);
    uint32_t i;

    if (!layer_entry_name_ok(hidden))
        return 1; /* ".wh.", ".wh..", ".wh..." */
    i = layer_nodes_find(&t->nodes, dir, hidden);
    if (i == LAYER_NODES_NONE &&
        (i = layer_nodes_make(&t->nodes, dir, hidden, err)) == LAYER_NODES_NONE)
        return -1;
    if ((node(t, i)->flags & ONLY_HIDES) != 0)
        layer_nodes_become(&t->nodes, i, &nothing);
    node(t, i)->flags |= LAYER_HIDES_BELOW;
    return 1;
}

static int
add_entry(struct layer_tree *t, const struct layer_path *path, const struct tar_entry *e,
          struct err *err)
{
    size_t base = layer_path_base(path);
    struct bytes name = bytes_of(path->text + base, path->n - base);
    struct layer_node is;
    uint32_t dir;
    bool hides = is_whiteout(name);
    int rc;

    if (path->depth == 0) {
        if (e->type != LAYER_DIR || node_of_entry(t, e, LAYER_NODES_ROOT, &is, err) <= 0)
            return 0;
        layer_nodes_become(&t->nodes, LAYER_NODES_ROOT, &is);
        return 1;
    }
    rc = walk_to_parent(t, path, hides ? HIDE : MAKE, &dir, err);
    if (rc <= 0)
        return hides && rc == 0 ? 1 : rc;
    if (bytes_equal(name, bytes_str(OPAQUE))) {
        node(t, dir)->flags |= LAYER_OPAQUE;
        return 1;
    }
    if (hides)
        return put_whiteout(t, dir, name, err);
    return put_node(t, dir, name, e, err);
}

int
layer_tree_add(struct layer_tree *t, const struct tar_entry *e, struct err *err)
{
    struct layer_path path;
    int rc;

    if (++t->entries > t->nodes.limits.nodes)
        return err_set(err, ERR_NOT_BROWSABLE, "it has more than %llu entries",
                       (unsigned long long)t->nodes.limits.nodes);
    if (!layer_path_clean(&path, e->path) || e->link.n > LAYER_PATH_MAX)
        return err_set(err, ERR_NOT_BROWSABLE, "it has a name that no file system can hold");
    if (below_whiteout(&path))
        return 0;
    rc = add_entry(t, &path, e, err);
    t->skipped += rc == 0;
    return rc < 0 ? -1 : 0;
}

/* ---- writing ---- */

/* The state of writing one tree: its directories by number, and the contents of one. */
struct order {
    uint32_t *dirs, *children;
    uint32_t dirs_n, at;
};

static int
compare_node_names(const void *a, const void *b, void *tree)
{
    const struct layer_node *x = node(tree, *(const uint32_t *)a),
                            *y = node(tree, *(const uint32_t *)b);

    return bytes_compare(tree_node_name(x), tree_node_name(y));
}

static bool
is_shown(const struct layer_node *x)
{
    return !starts(tree_node_name(x), AUFS) &&
           (x->type != LAYER_NONE || (x->flags & (LAYER_HIDES_BELOW | LAYER_LOWER)) != 0);
}

static struct layer_entry
entry_of(const struct layer_node *x)
{
    struct layer_entry e = {.name = tree_node_name(x),
                            .link = bytes_of(x->link, x->link_n),
                            .type = (enum layer_type)x->type,
                            .flags = x->flags & LAYER_FLAGS,
                            .mode = x->mode,
                            .uid = x->uid,
                            .gid = x->gid,
                            .mtime = x->mtime,
                            .nanos = x->nanos,
                            .data = x->data,
                            .dir = x->number,
                            .xattrs = x->xattrs};

    if (e.type == LAYER_FILE)
        e.size = x->u.size;
    if (e.type == LAYER_CHAR || e.type == LAYER_BLOCK) {
        e.major = x->u.device.major;
        e.minor = x->u.device.minor;
    }
    return e;
}

static void
count_entry(struct layer_info *info, const struct layer_entry *e)
{
    if (e->type == LAYER_NONE && (e->flags & LAYER_LOWER) == 0)
        return;
    info->names++;
    info->files += e->type == LAYER_FILE;
    if (e->type == LAYER_FILE && (e->flags & LAYER_HARD_LINK) == 0 &&
        __builtin_add_overflow(info->file_bytes, e->size, &info->file_bytes))
        info->file_bytes = UINT64_MAX;
}

/* Sorts the contents of one directory, and gives the next numbers to its directories. */
static int
write_directory(struct layer_tree *t, struct order *o, struct layer_index_writer *w,
                struct layer_info *info, struct err *err)
{
    size_t n = 0;

    for (uint32_t i = node(t, o->dirs[o->at])->child; i != LAYER_NODES_NONE; i = node(t, i)->next)
        if (is_shown(node(t, i)))
            o->children[n++] = i;
    qsort_r(o->children, n, sizeof *o->children, compare_node_names, t);
    for (size_t k = 0; k < n; k++) {
        struct layer_node *x = node(t, o->children[k]);
        struct layer_entry e;

        if (x->type == LAYER_DIR) {
            x->number = o->dirs_n;
            o->dirs[o->dirs_n++] = o->children[k];
        }
        e = entry_of(x);
        count_entry(info, &e);
        if (layer_index_put_entry(w, o->at, &e, err) != 0)
            return -1;
    }
    return 0;
}

int
layer_tree_write(struct layer_tree *t, struct layer_index_writer *w, struct layer_info *info,
                 struct err *err)
{
    size_t room = (size_t)t->nodes.n + 1;
    struct order o = {.dirs = mem_alloc(room * sizeof *o.dirs),
                      .children = mem_alloc(room * sizeof *o.children)};
    int rc = 0;

    info->names = info->files = info->file_bytes = 0;
    info->skipped = t->skipped;
    o.dirs[o.dirs_n++] = LAYER_NODES_ROOT;
    for (; rc == 0 && o.at < o.dirs_n; o.at++)
        rc = write_directory(t, &o, w, info, err);
    free(o.dirs);
    free(o.children);
    return rc;
}

int
layer_tree_write_rest(struct layer_tree *t, struct layer_index_writer *w, struct err *err)
{
    struct layer_entry root = entry_of(node(t, LAYER_NODES_ROOT));

    if (layer_index_put_root(w, &root, err) != 0)
        return -1;
    for (size_t i = 0; i < t->sparse_n; i++)
        if (layer_index_put_sparse(w, t->sparse[i].data, t->sparse[i].pieces, t->sparse[i].n,
                                   err) != 0)
            return -1;
    return 0;
}
