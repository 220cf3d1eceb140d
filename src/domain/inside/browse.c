#include "domain/core/index_place.h"
#include "domain/inside/browse.h"
#include "domain/core/chain_id.h"
#include "domain/core/foreign_images.h"
#include "domain/inside/index_cache.h"
#include "domain/inside/index_job.h"
#include "storage/files/blob_file.h"
#include "storage/layers/layer_read.h"
#include "storage/tables/tbl_blob.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/semaphore.h"

/* Interval between two looks for the file of an index, while a request waits for it. */
#define POLL_MIN_MS 5
#define POLL_MAX_MS 100
#define POLL_FAR_MS 400 /* in a bucket, where each look is a request */

/* Times that one request has damaged indexes made again. If that doesn't help, something else is
 * wrong. */
#define MENDS_MAX 3

/* ---- indexes: there, or waited for ---- */

static void
close_indexes(struct browse_image *im)
{
    for (size_t i = 0; i < im->n; i++) {
        if (im->indexes[i] != NULL)
            index_cache_leave(im->reg->indexes, im->indexes[i]);
        im->indexes[i] = NULL;
    }
}

/* Opens the indexes that exist, of the layers that are here. *is_missing: there is another one. If
 * `demand`, all others are asked for; else the first one is enough. */
static int
open_indexes(struct browse_image *im, bool demand, bool *is_missing, struct err *err)
{
    *is_missing = false;
    for (size_t i = 0; i < im->n; i++) {
        int rc = 1;

        if (im->indexes[i] == NULL && im->here[i])
            rc = index_cache_take(im->reg->indexes, index_place(im->reg), &im->layers[i],
                                  &im->indexes[i], err);
        if (rc < 0)
            return -1;
        if (rc > 0)
            continue;
        im->indexes[i] = NULL;
        *is_missing = true;
        if (!demand)
            return 0;
        if (index_job_demand(im->reg, &im->layers[i], im->repository, err) != 0)
            return -1;
    }
    return 0;
}

static int
not_yet(struct err *err)
{
    return err_set(err, ERR_BUSY, "a layer's index isn't made yet");
}

static int
wait_for_indexes(struct browse_image *im, struct err *err)
{
    uint64_t until = clock_mono_ms() + im->reg->index_wait_ms, pause = POLL_MIN_MS;
    uint64_t most = index_place(im->reg).bucket != NULL ? POLL_FAR_MS : POLL_MAX_MS;
    bool is_missing = true;

    while (is_missing) {
        if (clock_mono_ms() >= until)
            return not_yet(err);
        clock_sleep_ms(pause);
        pause = 2 * pause < most ? 2 * pause : most;
        if (open_indexes(im, false, &is_missing, err) != 0)
            return -1;
    }
    return 0;
}

/* Opens all indexes. On failure some may be open. */
static int
need_indexes(struct browse_image *im, struct err *err)
{
    const struct registry *reg = im->reg;
    bool is_missing;
    int rc, seat;

    if (open_indexes(im, true, &is_missing, err) != 0)
        return -1;
    if (!is_missing)
        return 0;
    seat = reg->index_seats != NULL ? semaphore_take(reg->index_seats) : 0;
    if (seat < 0)
        return not_yet(err);
    rc = wait_for_indexes(im, err);
    if (reg->index_seats != NULL)
        semaphore_leave(reg->index_seats, seat);
    return rc;
}

/* ---- opening ---- */

static int
find_blobs(struct browse_image *im, struct err *err)
{
    for (size_t i = 0; i < im->n; i++) {
        struct rec_blob r;
        int rc = tbl_blob_get(kv_reads(im->reg->kv), &im->layers[i], &r, err);

        if (rc < 0)
            return -1;
        if (rc == 0)
            continue;
        im->here[i] = true;
        im->sizes[i] = r.size;
        im->instances[i] = r.instance;
    }
    return 0;
}

/* Works for each kind of image. */
static int
open_found_layers(const struct registry *reg, struct arena *arena, struct browse_image *im,
                  struct err *err)
{
    im->reg = reg;
    im->here = arena_array(arena, im->n + 1, sizeof *im->here);
    im->sizes = arena_array(arena, im->n + 1, sizeof *im->sizes);
    im->instances = arena_array(arena, im->n + 1, sizeof *im->instances);
    im->indexes = arena_array(arena, im->n + 1, sizeof *im->indexes);
    if (im->here == NULL || im->sizes == NULL || im->instances == NULL || im->indexes == NULL)
        return arena_full(err);
    if (find_blobs(im, err) != 0)
        return -1;
    if (need_indexes(im, err) != 0) {
        close_indexes(im);
        return -1;
    }
    im->first = 0;
    im->merge = (struct layer_merge){.layers = im->indexes, .n = im->n, .steps = LAYER_MERGE_STEPS};
    return 0;
}

void
browse_close(struct browse_image *im)
{
    close_indexes(im);
}

static int
check_layer_count(size_t n, struct err *err)
{
    if (n > BROWSE_LAYERS_MAX)
        return err_set(err, ERR_NOT_BROWSABLE, "the image has %zu layers: at most %d can be shown",
                       n, BROWSE_LAYERS_MAX);
    return 0;
}

static int
allocate_layers(struct browse_image *im, size_t n, struct arena *arena, struct err *err)
{
    if (check_layer_count(n, err) != 0)
        return -1;
    im->layers = arena_array(arena, n + 1, sizeof *im->layers);
    im->ids = arena_array(arena, n + 1, sizeof *im->ids);
    return im->layers != NULL && im->ids != NULL ? 0 : arena_full(err);
}

/* The chain ids of the layers below the top. If the config doesn't list the layers, their own
 * digests. */
static int
name_layers(struct browse_image *im, struct arena *arena, struct err *err)
{
    struct digest *chain;
    int rc = chain_id_read(im->reg, &im->id, im->n, arena, &chain, err);

    for (size_t i = 0; i < im->n && rc >= 0; i++)
        im->ids[i] = i == 0 ? im->id : rc > 0 ? chain[im->n - 1 - i] : im->layers[i];
    return rc < 0 ? -1 : 0;
}

static size_t
manifest_layers(const struct manifest *m)
{
    size_t n = 0;

    for (size_t i = 0; i < m->descriptors_n; i++)
        n += m->descriptors[i].part == PART_LAYER;
    return n;
}

static int
open_image_layers(const struct registry *reg, struct arena *arena, struct browse_image *im,
                  struct err *err)
{
    const struct manifest *m = &im->image.manifest;

    im->reg = reg;
    im->id = m->config;
    if (allocate_layers(im, manifest_layers(m), arena, err) != 0)
        return -1;
    for (size_t i = m->descriptors_n; i > 0; i--)
        if (m->descriptors[i - 1].part == PART_LAYER)
            im->layers[im->n++] = m->descriptors[i - 1].digest;
    if (name_layers(im, arena, err) != 0)
        return -1;
    return open_found_layers(reg, arena, im, err);
}

int
browse_open_manifest(const struct registry *reg, const char *repository,
                     const struct reference *reference, const char *platform, struct arena *arena,
                     struct browse_image *im, struct err *err)
{
    struct platform want;
    struct pulled pulled;

    *im = (struct browse_image){.repository = repository};
    if (platform != NULL && platform_parse(&want, platform, err) != 0)
        return -1;
    if (pull_manifest(reg, repository, reference, false, arena, &pulled, err) != 0) {
        if (err->code != ERR_NOT_CONVERTED)
            return -1;
        /* A tag of the first API leads to its image as long as the image has no manifest. */
        return browse_open_v1(reg, NULL, &pulled.digest, NULL, arena, im, err);
    }
    if (platform_find(reg, pulled.repo, &pulled.digest, platform != NULL ? &want : NULL, arena,
                      &im->image, err) != 0)
        return -1;
    return open_image_layers(reg, arena, im, err);
}

int
browse_open_v1(const struct registry *reg, const struct actor *actor, const struct digest *id,
               const char *platform, struct arena *arena, struct browse_image *im, struct err *err)
{
    struct foreign_layers found;
    struct platform want;

    *im = (struct browse_image){.repository = ""};
    if ((platform != NULL && platform_parse(&want, platform, err) != 0) ||
        reg->foreign->layers_by_id(reg, actor, id, platform != NULL ? &want : NULL, arena, &found,
                                   err) != 0 ||
        check_layer_count(found.n, err) != 0)
        return -1;
    *im = (struct browse_image){.reg = reg,
                                .repository = "",
                                .id = *id,
                                .n = found.n,
                                .layers = found.layers,
                                .ids = found.ids};
    return open_found_layers(reg, arena, im, err);
}

/* ---- looking ---- */

void
browse_alone(struct browse_image *im, size_t layer)
{
    im->first = layer;
    im->merge.layers = im->indexes + layer;
    im->merge.n = 1;
}

size_t
browse_layer_of(const struct browse_image *im, const struct layer_merge_node *node)
{
    return im->first + node->layer;
}

bool
browse_layer_is_browsable(const struct browse_image *im, size_t layer)
{
    return im->here[layer] && layer_index_info(im->indexes[layer])->browsable;
}

static int
check_browsable(const struct browse_image *im, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    for (size_t i = im->first; i < im->first + im->merge.n; i++) {
        digest_text(text, &im->layers[i]);
        if (!im->here[i])
            return err_set(err, ERR_NOT_BROWSABLE, "layer %s isn't in this registry", text);
        if (!browse_layer_is_browsable(im, i))
            return err_set(err, ERR_NOT_BROWSABLE, "layer %s is not browsable: %s", text,
                           layer_index_info(im->indexes[i])->remark);
    }
    return 0;
}

/* Removes the file of an incomplete index. */
static int
remove_damaged_index(struct browse_image *im, size_t i, struct err *err)
{
    index_cache_forget(im->reg->indexes, &im->layers[i]);
    return index_store_mend(index_place(im->reg), &im->layers[i], err);
}

int
browse_mend(struct browse_image *im, struct err *err)
{
    if (im->mended++ == MENDS_MAX)
        return err_set(err, ERR_BUSY, "a layer's index is damaged repeatedly");
    close_indexes(im);
    for (size_t i = 0; i < im->n; i++)
        if (remove_damaged_index(im, i, err) != 0)
            return -1;
    return need_indexes(im, err);
}

int
browse_find(struct browse_image *im, struct arena *arena, struct bytes path, bool follow,
            struct layer_merge_node *node, struct err *err)
{
    int rc;

    for (;;) {
        rc = check_browsable(im, err);
        if (rc == 0)
            rc = layer_merge_find(&im->merge, arena, path, follow, node, err);
        if (rc >= 0 || err->code != ERR_CORRUPT || browse_mend(im, err) != 0)
            return rc;
    }
}

/* ---- reading ---- */

static int
name_layer(const struct browse_image *im, size_t layer, struct err *err)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, &im->layers[layer]);
    if (err->code == ERR_NOT_BROWSABLE)
        err_set(err, ERR_NOT_BROWSABLE, "layer %s: %s", text, err->message);
    return -1;
}

int
browse_read_check(struct browse_image *im, const struct layer_merge_node *node, uint64_t from,
                  struct err *err)
{
    size_t layer = browse_layer_of(im, node);

    while (layer_read_check(im->indexes[layer], &node->entry, from, &layer_read_defaults, err) != 0)
        if (err->code != ERR_CORRUPT || browse_mend(im, err) != 0)
            return name_layer(im, layer, err);
    return 0;
}

int
browse_read(struct browse_image *im, const struct layer_merge_node *node, uint64_t from, uint64_t n,
            int (*fn)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err)
{
    size_t layer = browse_layer_of(im, node);
    int rc, fd;

    if (node->entry.type == LAYER_FILE && n == 0)
        return 0;
    fd = blob_file_open(im->reg->blobs, &im->layers[layer], im->instances[layer], err);
    if (fd < 0)
        return -1;
    rc = layer_read(fd, im->indexes[layer], &node->entry, from, n, &layer_read_defaults, fn, arg,
                    err);
    fdio_close(fd);
    return rc == 0 ? 0 : name_layer(im, layer, err);
}
