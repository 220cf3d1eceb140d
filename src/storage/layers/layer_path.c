#include "storage/layers/layer_path.h"

static bool
is(struct bytes name, const char *text)
{
    return bytes_equal(name, bytes_str(text));
}

bool
layer_path_next(struct bytes *rest, struct bytes *name)
{
    const char *p = rest->p, *end = p + rest->n, *slash;

    for (;;) {
        while (p < end && *p == '/')
            p++;
        slash = p < end ? memchr(p, '/', (size_t)(end - p)) : NULL;
        *name = bytes_of(p, (size_t)((slash != NULL ? slash : end) - p));
        p += name->n;
        *rest = bytes_of(p, (size_t)(end - p));
        if (name->n == 0)
            return false;
        if (!is(*name, "."))
            return true;
    }
}

size_t
layer_path_base(const struct layer_path *p)
{
    const char *slash = p->n > 0 ? memrchr(p->text, '/', p->n) : NULL;

    return slash != NULL ? (size_t)(slash - p->text) + 1 : 0;
}

static void
take_back(struct layer_path *p)
{
    size_t base = layer_path_base(p);

    if (p->depth > 0)
        p->depth--;
    p->n = base > 0 ? base - 1 : 0;
}

bool
layer_path_clean(struct layer_path *out, struct bytes path)
{
    struct bytes name;

    out->n = 0;
    out->depth = 0;
    if (path.n > LAYER_PATH_MAX)
        return false;
    while (layer_path_next(&path, &name)) {
        if (is(name, "..")) {
            take_back(out);
            continue;
        }
        if (name.n > LAYER_NAME_MAX)
            return false;
        if (out->depth++ > 0)
            out->text[out->n++] = '/';
        memcpy(out->text + out->n, name.p, name.n);
        out->n += name.n;
    }
    out->text[out->n] = '\0';
    return true;
}

void
layer_path_begin(struct layer_path_walk *w, struct bytes path)
{
    w->rest[0] = path;
    w->n = 1;
    w->links = 0;
}

bool
layer_path_step(struct layer_path_walk *w, struct bytes *name)
{
    while (w->n > 0) {
        if (layer_path_next(&w->rest[w->n - 1], name))
            return true;
        w->n--;
    }
    return false;
}

bool
layer_path_follow(struct layer_path_walk *w, struct bytes link)
{
    if (w->links++ == LAYER_PATH_LINKS_MAX)
        return false;
    w->rest[w->n++] = link;
    return true;
}
