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

/* An image whose files are looked at: its layers, and their indexes, open. An index that isn't
 * there is asked for, and waited for (--index-wait); one that turns out to be damaged is thrown
 * away and made again, while whoever looks waits. Only so many may wait at the same time
 * (registry's index_seats), so that there are always workers for the images whose indexes are
 * there.
 *
 * For a worker, outside of transactions. */

/* More layers than any client makes. */
#define BROWSE_LAYERS_MAX 512

struct browse_image {
    const struct registry *reg;
    struct digest id; /* as the first API calls it: the config's digest, or the v1 image's id */
    size_t n;
    struct digest *layers; /* their blobs, top first */
    struct digest *ids;    /* what the first API calls the image that ends with that layer: its id,
                            * chain ids below; or those of v1 images */
    uint64_t *sizes;       /* of the blobs */
    uint64_t *instances;
    struct layer_index **indexes; /* NULL: not open */
    struct layer_merge merge;     /* of all layers, or of one of them: */
    size_t first;                 /* merge.layers[0] is layers[first] */
    struct platform_image image;  /* by its manifest; document is NULL for a v1 image */
    unsigned mended;
};

/* Each of these takes memory from the arena, which has to outlive the image, and waits. After 0 the
 * caller ends with browse_close. -1: as pull_manifest and platform_find; ERR_NO_IMAGE;
 * ERR_NO_BLOB: a layer is not in the store; ERR_BUSY: an index isn't made yet. A layer into which
 * nobody can look is no error here, but is when a path is looked up.
 * platform: as platform_parse takes it, or NULL. */
int browse_open_manifest(const struct registry *reg, const char *repository,
                         const struct reference *reference, const char *platform,
                         struct arena *arena, struct browse_image *im, struct err *err);
/* By the id that the first API knows: a v1 image, or what it sees of another (image_view.h). */
int browse_open_v1(const struct registry *reg, const struct digest *id, const char *platform,
                   struct arena *arena, struct browse_image *im, struct err *err);
/* Any: im->id, n, layers and ids are set, in the arena. */
int browse_open_layers(const struct registry *reg, struct arena *arena, struct browse_image *im,
                       struct err *err);
void browse_close(struct browse_image *im);

/* From here on only this layer is looked at, as if there were no other. */
void browse_alone(struct browse_image *im, size_t layer);

/* Which of im->layers a node is from. */
size_t browse_layer_of(const struct browse_image *im, const struct layer_merge_node *node);

/* As layer_merge_find; sees to damaged indexes itself. ERR_NOT_BROWSABLE names the layer. */
int browse_find(struct browse_image *im, struct arena *arena, struct bytes path, bool follow,
                struct layer_merge_node *node, struct err *err);

/* For whoever gets ERR_CORRUPT from a list or from browse_read: throws away the indexes that are
 * damaged, and waits for new ones. After 0 all nodes and lists of before are invalid, and what was
 * being done can be begun again, or gone on with where it was. -1: ERR_BUSY, or the machine
 * failed. *err is what happened, before and after. */
int browse_mend(struct browse_image *im, struct err *err);

/* A file's bytes, as layer_read, of a node that browse_find or a list gave. May have to be begun
 * again after ERR_CORRUPT, as above. ERR_NOT_BROWSABLE names the layer. */
int browse_read(struct browse_image *im, const struct layer_merge_node *node, uint64_t from,
                uint64_t n, int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                struct err *err);
/* Whether that can be done, as layer_read_check; sees to damaged indexes itself, and node stays
 * valid. */
int browse_read_check(struct browse_image *im, const struct layer_merge_node *node, uint64_t from,
                      struct err *err);
