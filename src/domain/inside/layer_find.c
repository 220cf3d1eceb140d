#include "domain/inside/layer_find.h"
#include "domain/inside/layer_walk.h"
#include "util/arena.h"

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
    return glob_match(&p->glob, path);
}

static int
find_names(struct layer_walk *w, const struct layer_pattern *p, size_t n,
           int (*fn)(void *arg, struct bytes path, const struct layer_merge_node *node,
                     struct err *err),
           void *arg, bool *more, struct err *err)
{
    struct layer_merge_node node;
    struct bytes path;
    int rc;

    while ((rc = layer_walk_next(w, &path, &node, err)) > 0) {
        if (!layer_find_fits(p, path, node.entry.type))
            continue;
        *more = n == 0;
        if (*more)
            return 0;
        n--;
        rc = fn(arg, path, &node, err);
        *more = rc > 0;
        if (rc != 0)
            return rc < 0 ? -1 : 0;
    }
    return rc;
}

int
layer_find(struct layer_merge *m, const struct layer_pattern *p, struct bytes after, size_t n,
           int (*fn)(void *arg, struct bytes path, const struct layer_merge_node *node,
                     struct err *err),
           void *arg, bool *more, struct err *err)
{
    struct layer_merge_node root;
    struct layer_walk *w = NULL;
    struct arena arena;
    int rc = -1;

    *more = false;
    arena_init(&arena, (size_t)1 << 20);
    if (layer_merge_find(m, &arena, bytes_of("", 0), true, &root, err) > 0)
        w = layer_walk_begin(m, &root, LAYER_WALK_BYTES, after, err);
    if (w != NULL)
        rc = find_names(w, p, n, fn, arg, more, err);
    layer_walk_end(w);
    arena_reset(&arena);
    return rc;
}
