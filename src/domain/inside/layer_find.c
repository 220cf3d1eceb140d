#include "domain/inside/layer_find.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"
#include "util/clock.h"

/* The longest run of bytes that stand for themselves. What follows a [ may be a set, and "a/" +
 * "**" also matches "a". */
static void
set_pattern_part(struct layer_pattern *p, struct bytes text)
{
    const char *c = text.p;

    for (size_t at = 0, n; at < text.n && c[at] != '['; at += n + (n == 0)) {
        if (c[at] == '\\')
            at++; /* and the byte behind it */
        for (n = 0; at + n < text.n && strchr("*?[\\/", c[at + n]) == NULL; n++)
            ;
        if (n > p->part_n) {
            memcpy(p->part, c + at, n);
            p->part_n = n;
        }
    }
}

int
layer_find_pattern(struct layer_pattern *p, struct bytes text, struct err *err)
{
    const char *c = text.p;

    p->dirs = text.n > 1 && c[text.n - 1] == '/' && c[text.n - 2] != '\\';
    text.n -= p->dirs;
    if (text.n == 0)
        return err_set(err, ERR_BAD_REQUEST, "the query has no pattern: add name=GLOB");
    p->whole = memchr(c, '/', text.n) != NULL;
    /* Paths have no leading slash here, so the pattern needs none. */
    if (*c == '/')
        text = bytes_of(c + 1, text.n - 1);
    p->part_n = 0;
    if (text.n <= GLOB_MAX)
        set_pattern_part(p, text);
    return glob_compile(&p->glob, text, err);
}

bool
layer_find_fits(const struct layer_pattern *p, struct bytes path, enum layer_type type)
{
    const char *slash = p->whole || path.n == 0 ? NULL : memrchr(path.p, '/', path.n);

    if (p->dirs && type != LAYER_DIR)
        return false;
    if (slash != NULL)
        path = bytes_of(slash + 1, path.n - (size_t)(slash + 1 - (const char *)path.p));
    if (p->part_n > 0 && memmem(path.p, path.n, p->part, p->part_n) == NULL)
        return false;
    return glob_match(&p->glob, path);
}

int
layer_find_note(struct buf *last, struct bytes path, struct err *err)
{
    buf_reset(last);
    buf_putc(last, '/');
    buf_put(last, path.p, path.n);
    return buf_ok(last) ? 0 : arena_full(err);
}

/* As fn. */
static int
tell_found(struct layer_find_page *page, struct bytes path, const struct layer_merge_node *node,
           struct err *err)
{
    if (page->n == 0)
        return 1;
    page->n--;
    if (layer_find_note(page->last, path, err) != 0)
        return -1;
    return page->fn(page->arg, path, node, err);
}

static int
find_names(struct layer_walk *w, const struct layer_pattern *p, struct layer_find_page *page,
           struct err *err)
{
    struct layer_merge_node node;
    struct bytes path;
    unsigned looks = 0;
    int rc;

    while ((rc = layer_walk_next(w, &path, &node, err)) > 0) {
        rc = layer_find_fits(p, path, node.entry.type) ? tell_found(page, path, &node, err) : 0;
        page->more = rc > 0;
        if (rc != 0)
            return rc < 0 ? -1 : 0;
        if (++looks % LAYER_FIND_LOOKS == 0 && clock_mono_ms() >= page->until) {
            page->more = true;
            return layer_find_note(page->last, path, err);
        }
    }
    return rc;
}

int
layer_find(struct layer_merge *m, const struct layer_pattern *p, struct layer_find_page *page,
           struct err *err)
{
    struct layer_merge_node root;
    struct layer_walk *w = NULL;
    struct arena arena;
    int rc = -1;

    page->more = false;
    arena_init(&arena, (size_t)1 << 20);
    if (layer_merge_find(m, &arena, bytes_of("", 0), true, &root, err) > 0)
        w = layer_walk_begin(m, &root, LAYER_WALK_BYTES, page->after, err);
    if (w != NULL)
        rc = find_names(w, p, page, err);
    layer_walk_end(w);
    arena_reset(&arena);
    return rc;
}
