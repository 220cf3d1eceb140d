/* Layers of lines, bottom first, with a line "=" between two; and lines "? PATH" to be looked up.
 * The merged tree is in order, what it lists is what is found by its path, and nothing takes long.
 */
#include "layer.h"
#include "domain/inside/layer_merge.h"

#define LAYERS 8

struct layers {
    struct layer_index *x[LAYERS]; /* top first, from the end on */
    int blob[LAYERS];
    size_t n;
    struct layer_merge merge;
    struct arena arena;
    char path[8192];
};

static void
add(struct layers *l, struct buf *tar)
{
    size_t at = LAYERS - 1 - l->n;

    memset(buf_extend(tar, 1024), 0, 1024);
    l->x[at] = fuzz_scan(buf_bytes(tar), &l->blob[at]);
    l->n++;
    buf_reset(tar);
}

static void
expect_found(struct layers *l, size_t n, const struct layer_merge_node *listed)
{
    struct layer_merge_node found;
    struct err err = {0};
    int rc = layer_merge_find(&l->merge, &l->arena, bytes_of(l->path, n), false, &found, &err);

    MUST(rc != 0);
    if (rc < 0) {
        MUST(err.code == ERR_NOT_BROWSABLE); /* it has looked at enough */
        arena_reset(&l->arena);
        return;
    }
    MUST(found.entry.type == listed->entry.type && found.layer == listed->layer);
    MUST(found.entry.data == listed->entry.data && found.entry.flags == listed->entry.flags);
    MUST(bytes_equal(found.entry.link, listed->entry.link) && found.parts_n == listed->parts_n);
    arena_reset(&l->arena);
}

static void
list(struct layers *l, const struct layer_merge_node *dir, size_t n)
{
    struct layer_merge_list *list_of;
    struct layer_merge_node node;
    char last[LAYER_NAME_MAX + 1] = "";
    size_t last_n = 0;
    struct err err = {0};
    int rc;

    list_of = layer_merge_list(&l->merge, dir, bytes_of("", 0), &err);
    if (list_of == NULL) {
        MUST(err.code == ERR_NOT_BROWSABLE);
        return;
    }
    while ((rc = layer_merge_next(list_of, &node, &err)) > 0) {
        struct bytes name = node.entry.name;
        size_t shorter = name.n < last_n ? name.n : last_n;
        int order = memcmp(last, name.p, shorter);

        MUST(layer_entry_name_ok(name) && (order < 0 || (order == 0 && last_n < name.n)));
        MUST(node.layer < l->merge.n && n + name.n + 1 < sizeof l->path);
        memcpy(last, name.p, last_n = name.n);
        memcpy(l->path + n, name.p, name.n);
        l->path[n + name.n] = '/';
        expect_found(l, n + name.n, &node);
        if (node.entry.type == LAYER_DIR)
            list(l, &node, n + name.n + 1);
    }
    MUST(rc == 0 || err.code == ERR_NOT_BROWSABLE);
    layer_merge_leave(list_of);
}

static void
look_up(struct layers *l, struct bytes path)
{
    struct layer_merge_node node;
    struct err err = {0};

    for (int follow = 0; follow < 2; follow++) {
        int rc = layer_merge_find(&l->merge, &l->arena, path, follow, &node, &err);

        MUST(rc >= 0 || err.code == ERR_NO_FILE || err.code == ERR_NOT_BROWSABLE);
        MUST(rc <= 0 || !follow || node.entry.type != LAYER_SYMLINK);
        arena_reset(&l->arena);
    }
}

/* Calls one of the two for each line. */
static void
each_line(struct layers *l, const char *p, size_t n, struct buf *tar)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t line = end != NULL ? (size_t)(end - p) : n;

        if (tar != NULL && line == 1 && p[0] == '=' && l->n < LAYERS - 1)
            add(l, tar);
        else if (tar != NULL)
            fuzz_put_line(tar, p, line);
        else if (line > 2 && p[0] == '?')
            look_up(l, bytes_of(p + 2, line - 2));
        line += end != NULL;
        p += line;
        n -= line;
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct layers l = {.n = 0};
    struct layer_merge_node root;
    struct err err = {0};
    struct buf tar;
    bool browsable = true;

    if (n > 20000)
        return 0;
    buf_init(&tar, (size_t)32 << 20);
    arena_init(&l.arena, (size_t)16 << 20);
    each_line(&l, (const char *)data, n, &tar);
    add(&l, &tar);
    l.merge = (struct layer_merge){l.x + LAYERS - l.n, l.n, 5000000};
    for (size_t i = LAYERS - l.n; i < LAYERS; i++)
        browsable = browsable && layer_index_info(l.x[i])->browsable;
    if (browsable) {
        MUST(layer_merge_find(&l.merge, &l.arena, bytes_of("", 0), true, &root, &err) == 1);
        struct layer_merge_part parts[LAYERS];
        memcpy(parts, root.parts, root.parts_n * sizeof *parts);
        root.parts = parts;
        list(&l, &root, 0);
        each_line(&l, (const char *)data, n, NULL);
    }
    for (size_t i = LAYERS - l.n; i < LAYERS; i++) {
        layer_index_close(l.x[i]);
        close(l.blob[i]);
    }
    arena_reset(&l.arena);
    buf_free(&tar);
    return 0;
}
