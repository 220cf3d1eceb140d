#include "domain/inside/layer_archive.h"
#include "domain/inside/layer_links.h"
#include "domain/inside/layer_walk.h"
#include "storage/layers/layer_path.h"
#include "storage/layers/tar_write.h"
#include "util/arena.h"
#include "util/buf.h"
#include "util/mem.h"

/* Entries are written in the order of the tree, because GNU tar sets a directory's time when it
 * sees the first entry outside of it. The data in a layer may have any other order. So small files
 * are read in batches, in the order of their data, and then written in the order of their names.
 * Large files are copied directly. */
#define BATCH_FILES 8192u
#define BATCH_NAMES ((size_t)8 << 20)
#define BATCH_BYTES ((size_t)16 << 20)
#define SMALL_MAX ((size_t)256 << 10)
/* Bytes of names in a batch. */
#define NAMES_MAX ((size_t)4 * LAYER_PATH_MAX)

struct item {
    struct bytes path;
    struct bytes other; /* hard_link: to this */
    bool hard_link;
    bool small;
    size_t at; /* for a small file: its place in the batch's bytes */
    struct layer_merge_node node;
};

struct archive {
    struct layer_files *files;
    struct layer_files large;
    struct bytes path;
    int (*put)(void *arg, struct bytes b, struct err *err);
    void *arg;

    struct layer_links links;
    struct buf header;
    struct buf after; /* the last path that was written */
    bool begun;       /* the header of the next entry is written, */
    uint64_t part;    /* and this many bytes of its data */
    bool self;        /* "./" was put */

    struct arena names;
    struct item **items;
    size_t n;
    char *bytes;
    size_t bytes_n;
};

/* ---- one entry ---- */

static int
put_item_header(struct archive *a, const struct item *item, struct err *err)
{
    const struct layer_entry *e = &item->node.entry;
    const struct tar_entry t = {
        .path = item->path,
        .link = e->type == LAYER_SYMLINK ? e->link : item->other,
        .hard_link = item->hard_link,
        .type = e->type,
        .mode = e->mode,
        .uid = e->uid,
        .gid = e->gid,
        .size = e->size,
        .mtime = e->mtime,
        .nanos = e->nanos,
        .major = e->major,
        .minor = e->minor,
    };

    buf_reset(&a->header);
    tar_write_header(&a->header, &t);
    if (!buf_ok(&a->header))
        return arena_full(err);
    return a->put(a->arg, buf_bytes(&a->header), err);
}

static int
put_file_part(void *arg, struct bytes b, struct err *err)
{
    struct archive *a = arg;

    if (a->put(a->arg, b, err) != 0)
        return -1;
    a->part += b.n;
    return 0;
}

static int
put_data(struct archive *a, const struct item *item, struct err *err)
{
    static const char zero[512];
    uint64_t size = item->node.entry.size;

    if (item->node.entry.type != LAYER_FILE || item->hard_link || size == 0)
        return 0;
    if (item->small) {
        if (put_file_part(a, bytes_of(a->bytes + item->at, (size_t)size), err) != 0)
            return -1;
    } else if (layer_files_read(&a->large, &item->node, a->part, size - a->part, put_file_part, a,
                                err) != 0) {
        return -1;
    }
    if (tar_write_padding(size) == 0)
        return 0;
    return a->put(a->arg, bytes_of(zero, tar_write_padding(size)), err);
}

static int
put_item(struct archive *a, const struct item *item, struct err *err)
{
    if (!a->begun && put_item_header(a, item, err) != 0)
        return -1;
    a->begun = true;
    if (put_data(a, item, err) != 0)
        return -1;
    a->begun = false;
    a->part = 0;
    buf_reset(&a->after);
    buf_put(&a->after, item->path.p, item->path.n);
    return buf_ok(&a->after) ? 0 : arena_full(err);
}

/* ---- a batch ---- */

/* Copies the node into the arena. */
static struct item *
keep_item(struct archive *a, struct bytes path, const struct layer_merge_node *node)
{
    struct item *item = arena_alloc(&a->names, sizeof *item);
    const char *name = arena_copy(&a->names, path.p, path.n);
    const char *link = arena_copy(&a->names, node->entry.link.p, node->entry.link.n);

    if (item == NULL || name == NULL || link == NULL)
        return NULL;
    *item = (struct item){.path = bytes_of(name, path.n), .node = *node};
    item->node.entry.link = bytes_of(link, node->entry.link.n);
    item->hard_link = layer_links_name(&a->links, node, item->path, &item->other);
    if (!item->hard_link)
        item->other = bytes_of("", 0);
    item->small =
        node->entry.type == LAYER_FILE && !item->hard_link && node->entry.size <= SMALL_MAX;
    if (item->small) {
        item->at = a->bytes_n;
        a->bytes_n += (size_t)node->entry.size;
    }
    return item;
}

static int
collect_items(struct archive *a, struct layer_walk *walk, struct err *err)
{
    struct layer_merge_node node;
    struct bytes path;
    int rc = 1;

    arena_reset(&a->names);
    a->n = 0;
    a->bytes_n = 0;
    while (a->n < BATCH_FILES && a->bytes_n + SMALL_MAX <= BATCH_BYTES &&
           a->names.used + NAMES_MAX <= a->names.max &&
           (rc = layer_walk_next(walk, &path, &node, err)) > 0) {
        if (node.entry.type == LAYER_NONE)
            continue;
        a->items[a->n] = keep_item(a, path, &node);
        if (a->items[a->n++] == NULL)
            return arena_full(err);
    }
    return rc < 0 ? -1 : 0;
}

static int
by_data(const void *a, const void *b)
{
    const struct item *x = *(struct item *const *)a, *y = *(struct item *const *)b;

    if (x->node.layer != y->node.layer)
        return x->node.layer < y->node.layer ? -1 : 1;
    return (x->node.entry.data > y->node.entry.data) - (x->node.entry.data < y->node.entry.data);
}

struct filling {
    char *p;
};

static int
buffer_file_part(void *arg, struct bytes b, struct err *err)
{
    struct filling *f = arg;

    (void)err;
    memcpy(f->p, b.p, b.n);
    f->p += b.n;
    return 0;
}

static int
read_sorted(struct archive *a, struct item **small, size_t n, struct err *err)
{
    qsort(small, n, sizeof *small, by_data);
    for (size_t i = 0; i < n; i++) {
        struct filling f = {a->bytes + small[i]->at};

        if (layer_files_read(a->files, &small[i]->node, 0, small[i]->node.entry.size,
                             buffer_file_part, &f, err) != 0)
            return -1;
    }
    return 0;
}

static int
read_small(struct archive *a, struct err *err)
{
    struct item **small;
    size_t n = 0;
    int rc;

    if (a->bytes_n == 0)
        return 0;
    small = mem_array(a->n, sizeof *small);
    a->bytes = mem_alloc(a->bytes_n);
    for (size_t i = 0; i < a->n; i++)
        if (a->items[i]->small)
            small[n++] = a->items[i];
    rc = read_sorted(a, small, n, err);
    free(small);
    return rc;
}

static int
put_batch(struct archive *a, struct err *err)
{
    int rc = read_small(a, err);

    for (size_t i = 0; i < a->n && rc == 0; i++)
        rc = put_item(a, a->items[i], err);
    free(a->bytes);
    a->bytes = NULL;
    return rc;
}

/* ---- the whole tree ---- */

static int
find_linked_names(struct archive *a, struct arena *arena, struct layer_merge_node *top,
                  struct err *err)
{
    int rc = layer_merge_find(a->files->merge, arena, a->path, true, top, err);

    if (rc < 0)
        return -1;
    if (rc == 0 || top->entry.type == LAYER_NONE)
        return err_set(err, ERR_NO_FILE, "there is nothing at that path in the image");
    return 0;
}

/* If the entry after a->after was begun, completes it. */
static int
put_directory(struct archive *a, const struct layer_merge_node *top, struct err *err)
{
    const struct item self = {.path = bytes_str("./"), .other = bytes_of("", 0), .node = *top};
    struct layer_walk *walk;
    int rc;

    if (!a->self && put_item_header(a, &self, err) != 0)
        return -1;
    a->self = true;
    walk = layer_walk_begin(a->files->merge, top, LAYER_WALK_TREE, buf_bytes(&a->after), err);
    if (walk == NULL)
        return -1;
    do
        rc = collect_items(a, walk, err) == 0 ? put_batch(a, err) : -1;
    while (rc == 0 && a->n > 0);
    layer_walk_end(walk);
    return rc;
}

static int
put_one(struct archive *a, const struct layer_merge_node *top, struct err *err)
{
    const struct item item = {
        .path = layer_archive_name(a->path), .other = bytes_of("", 0), .node = *top};

    return put_item(a, &item, err);
}

static int
put_archive(struct archive *a, struct err *err)
{
    struct layer_merge_node top;
    struct arena arena;
    int rc;

    arena_init(&arena, (size_t)1 << 20);
    rc = find_linked_names(a, &arena, &top, err);
    if (rc == 0)
        rc = top.entry.type == LAYER_DIR ? put_directory(a, &top, err) : put_one(a, &top, err);
    arena_reset(&arena);
    return rc;
}

/* ---- before the first byte ---- */

static int
add_node_size(struct archive *a, const struct layer_merge_node *node, uint64_t *bytes,
              struct err *err)
{
    if (node->entry.type != LAYER_FILE)
        return 0;
    if (node->entry.size > LAYER_ARCHIVE_MAX - *bytes)
        return err_set(err, ERR_TOO_LARGE, "more than %llu GiB of files",
                       (unsigned long long)(LAYER_ARCHIVE_MAX >> 30));
    *bytes += node->entry.size;
    layer_links_add(&a->links, node);
    return 0;
}

static int
sum_sizes(struct archive *a, const struct layer_merge_node *top, uint64_t *bytes, struct err *err)
{
    struct layer_merge_node node;
    struct layer_walk *walk;
    struct bytes path;
    int rc;

    *bytes = 0;
    if (top->entry.type != LAYER_DIR)
        return add_node_size(a, top, bytes, err);
    walk = layer_walk_begin(a->files->merge, top, LAYER_WALK_TREE, bytes_of("", 0), err);
    if (walk == NULL)
        return -1;
    while ((rc = layer_walk_next(walk, &path, &node, err)) > 0)
        if ((rc = add_node_size(a, &node, bytes, err)) != 0)
            break;
    layer_walk_end(walk);
    return rc;
}

static int
prepare_archive(struct archive *a, struct err *err)
{
    struct layer_merge_node top;
    struct arena arena;
    uint64_t bytes;
    int rc;

    layer_links_free(&a->links);
    layer_links_init(&a->links, LAYER_ARCHIVE_LINKS_MAX);
    arena_init(&arena, (size_t)1 << 20);
    rc = find_linked_names(a, &arena, &top, err);
    if (rc == 0)
        rc = sum_sizes(a, &top, &bytes, err);
    if (rc == 0)
        a->files->max = a->large.max = LAYER_ARCHIVE_DECODED + LAYER_ARCHIVE_TIMES * bytes;
    arena_reset(&arena);
    layer_links_sort(&a->links);
    return rc;
}

/* Starts again after each damaged index that could be replaced. */
static int
mending(struct archive *a, int (*work)(struct archive *a, struct err *err), struct err *err)
{
    int rc;

    do {
        rc = work(a, err);
        if (rc == 0)
            return 0;
        layer_files_close(&a->large);
    } while (layer_files_mend(a->files, err) == 0);
    return -1;
}

static int
put_end(struct archive *a, struct err *err)
{
    buf_reset(&a->header);
    tar_write_end(&a->header);
    if (!buf_ok(&a->header))
        return arena_full(err);
    return a->put(a->arg, buf_bytes(&a->header), err);
}

int
layer_archive(struct layer_files *files, struct bytes path,
              int (*put)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err)
{
    struct archive a = {.files = files,
                        .large = {.merge = files->merge, .blob = files->blob, .arg = files->arg},
                        .path = path,
                        .put = put,
                        .arg = arg,
                        .items = mem_array(BATCH_FILES, sizeof *a.items)};
    int rc = -1;

    buf_init(&a.header, (size_t)4 * TAR_WRITE_HEADER_MAX);
    buf_init(&a.after, (size_t)4 * LAYER_PATH_MAX);
    arena_init(&a.names, BATCH_NAMES);
    if (mending(&a, prepare_archive, err) == 0 && mending(&a, put_archive, err) == 0)
        rc = put_end(&a, err);
    layer_files_close(files);
    layer_files_close(&a.large);
    layer_links_free(&a.links);
    buf_free(&a.header);
    buf_free(&a.after);
    arena_reset(&a.names);
    free(a.items);
    return rc;
}

struct bytes
layer_archive_name(struct bytes path)
{
    struct bytes name, last = bytes_of("", 0);

    while (layer_path_next(&path, &name))
        last = name;
    return last;
}
