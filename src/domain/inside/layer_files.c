#include "domain/inside/layer_files.h"
#include "util/fdio.h"

/* A walk through an image comes to each place sooner or later, so no read is refused because it is
 * far. */
static const struct layer_read_limits limits = {
    .distance = UINT64_MAX,
    .distance_slow = UINT64_MAX,
    .wait_ms = 60000,
    .memory = 32u << 20,
};

static void
close_one(struct layer_files *f, struct layer_files_one *one)
{
    if (one->reader == NULL)
        return;
    f->decoded += layer_read_decoded(one->reader);
    layer_read_end(one->reader);
    fdio_close(one->fd);
    one->reader = NULL;
}

static int
open_layer_file(struct layer_files *f, struct layer_files_one *one, size_t layer, struct err *err)
{
    close_one(f, one);
    one->fd = f->blob(f->arg, layer, err);
    if (one->fd < 0)
        return -1;
    one->layer = layer;
    one->reader = layer_read_begin(one->fd, f->merge->layers[layer], &limits);
    return 0;
}

/* The decoder that is open for that layer; or the least recently used one, opened for it. */
static struct layer_files_one *
find_open_layer(struct layer_files *f, size_t layer, struct err *err)
{
    struct layer_files_one *oldest = &f->open[0];

    for (size_t i = 0; i < LAYER_FILES_OPEN; i++) {
        struct layer_files_one *one = &f->open[i];

        if (one->reader != NULL && one->layer == layer)
            return one;
        if (one->reader == NULL || (oldest->reader != NULL && one->used < oldest->used))
            oldest = one;
    }
    return open_layer_file(f, oldest, layer, err) == 0 ? oldest : NULL;
}

static uint64_t
sum_decoded(const struct layer_files *f)
{
    uint64_t n = f->decoded;

    for (size_t i = 0; i < LAYER_FILES_OPEN; i++)
        if (f->open[i].reader != NULL)
            n += layer_read_decoded(f->open[i].reader);
    return n;
}

int
layer_files_read(struct layer_files *f, const struct layer_merge_node *node, uint64_t from,
                 uint64_t n, int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                 struct err *err)
{
    struct layer_files_one *one;

    if (node->entry.type == LAYER_FILE && n == 0)
        return 0;
    if (sum_decoded(f) > (f->max != 0 ? f->max : LAYER_FILES_MAX))
        return err_set(err, ERR_NOT_BROWSABLE, "too much of this image would have to be read");
    one = find_open_layer(f, node->layer, err);
    if (one == NULL)
        return -1;
    one->used = ++f->calls;
    return layer_read_more(one->reader, &node->entry, from, n, fn, arg, err);
}

int
layer_files_mend(struct layer_files *f, struct err *err)
{
    if (err->code != ERR_CORRUPT || f->mend == NULL)
        return -1;
    layer_files_close(f);
    return f->mend(f->arg, err);
}

void
layer_files_close(struct layer_files *f)
{
    for (size_t i = 0; i < LAYER_FILES_OPEN; i++)
        close_one(f, &f->open[i]);
}
