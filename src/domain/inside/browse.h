#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "domain/core/platform.h"
#include "domain/core/pull.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* An image open for looking at its files: its layers, and their open indexes. If an index doesn't
 * exist, the request asks for it and waits (--index-wait). If an index turns out to be damaged, it
 * is removed and made again while the request waits. registry->index_seats limits how many requests
 * wait at the same time, so that workers remain for images that have their indexes.
 *
 * For workers, outside of transactions. */

/* More layers than any client makes. */
#define BROWSE_LAYERS_MAX 512

struct actor;

struct browse_image {
    const struct registry *reg;
    const char *repository; /* that the request names; else "" */
    struct digest id; /* the id by which the first API knows it: the config's digest, or the v1
                       * image's id */
    size_t n;
    struct digest *layers; /* their blobs, top first */
    struct digest *ids;    /* for each layer, the id of the image that ends with it, as the first
                            * API knows it: the image's own id, then chain ids; or the ids of v1
                            * images */
    bool *here;            /* false: the blob isn't in the store, as with a layer that has urls */
    uint64_t *sizes;       /* of the blobs that are here */
    uint64_t *instances;
    struct layer_index **indexes; /* NULL: not open, or not here */
    struct layer_merge merge;     /* of all layers, or of one: */
    size_t first;                 /* merge.layers[0] is layers[first] */
    struct platform_image image;  /* set from the manifest; document is NULL for a v1 image */
    unsigned mended;
};

/* Each of these opens an image, and may wait for indexes. Memory comes from the arena, which must
 * outlive the image. After 0 the caller ends with browse_close. -1: as pull_manifest and
 * platform_find; ERR_NO_IMAGE; ERR_BUSY: an index isn't ready yet. A layer that can't be looked
 * into, or isn't in the store, is an error only when a path is looked up. platform: as for
 * platform_parse, or NULL. */
int browse_open_manifest(const struct registry *reg, const char *repository,
                         const struct reference *reference, const char *platform,
                         struct arena *arena, struct browse_image *im, struct err *err);
/* Opens by an id of the first API: a v1 image, or a view of a manifest (image_view.h). actor: only
 * images that the actor may read by their ids; NULL: all. */
int browse_open_v1(const struct registry *reg, const struct actor *actor, const struct digest *id,
                   const char *platform, struct arena *arena, struct browse_image *im,
                   struct err *err);
void browse_close(struct browse_image *im);

/* Restricts the image to one layer, as if there were no other. */
void browse_alone(struct browse_image *im, size_t layer);

/* False: the layer isn't in the store, or can't be looked into. */
bool browse_layer_is_browsable(const struct browse_image *im, size_t layer);

/* The layer of a node, an index of im->layers. */
size_t browse_layer_of(const struct browse_image *im, const struct layer_merge_node *node);

/* As layer_merge_find, but replaces damaged indexes by itself. ERR_NOT_BROWSABLE names the
 * layer. */
int browse_find(struct browse_image *im, struct arena *arena, struct bytes path, bool follow,
                struct layer_merge_node *node, struct err *err);

/* To be called after ERR_CORRUPT from a list or browse_read. Removes the damaged indexes and waits
 * for new ones. After 0 all earlier nodes and lists are invalid, and the caller may start again, or
 * continue from the place where it was. -1: ERR_BUSY, or the machine failed. *err is the earlier
 * error, and the new one. */
int browse_mend(struct browse_image *im, struct err *err);

/* Reads bytes of a file, as layer_read. The node is from browse_find or a list. After ERR_CORRUPT
 * see browse_mend. ERR_NOT_BROWSABLE names the layer. */
int browse_read(struct browse_image *im, const struct layer_merge_node *node, uint64_t from,
                uint64_t n, int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                struct err *err);
/* Checks whether the file can be read, as layer_read_check. Replaces damaged indexes by itself;
 * node remains valid. */
int browse_read_check(struct browse_image *im, const struct layer_merge_node *node, uint64_t from,
                      struct err *err);
