#ifndef DOMAIN_V1_IMAGE_VIEW_H
#define DOMAIN_V1_IMAGE_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/platform.h"
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* An image of the second API as the first one shows it: a chain of images, one for each layer, as
 * docker from 1.10 on pushes one to a registry of the first API. The topmost is called by its
 * config's digest and has nearly all of the config for its JSON; those below are called by the
 * chain ids of the layers (image_ids.h), and have what the config's history says of them. All of it
 * follows from config and manifest, and nothing is stored but the ids. */

struct image_view {
    uint64_t repo; /* by which repository's manifest it is seen */
    struct digest manifest;
    struct digest *ids;    /* of the image and its ancestors, itself first; in the arena */
    struct digest *layers; /* their blobs; DIGEST_NONE for the one of an image without layers */
    size_t n;
    size_t layer;         /* which one its own is, from the lowest, 0 */
    size_t layers_n;      /* of all that the config tells of */
    bool topmost;         /* called by its config */
    struct digest on_top; /* what an ancestor with the topmost layer would be called */
    struct bytes config;  /* in the arena */
};

/* The id is all that is known, so the first manifest that has it is taken, by the age of
 * repositories. platform: as platform_find has it, for the id of an index. Memory is taken from the
 * arena. Reads files: not in a transaction. 1; 0: no manifest is called so; -1: ERR_NO_IMAGE: what
 * is called so is no image; that, or why there is nothing to be seen, is the message. */
int image_view_find(const struct registry *reg, const struct digest *id,
                    const struct platform *platform, struct arena *arena, struct image_view *v,
                    struct err *err);

/* Of a manifest of that repository. 1; 0: it isn't there; -1: as above. */
int image_view_of(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, struct arena *arena, struct image_view *v,
                  struct err *err);

/* What the first API calls a manifest of that repository: a v1 image by the id that it was pushed
 * with, another image by its config, an index by the image that it leads to, and what leads to none
 * by its own digest. 1; 0: it isn't there, or has no image of that platform; -1. */
int image_view_id(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, struct digest *id, struct err *err);

/* The image's JSON, always the same for the same config: in the arena. */
int image_view_json(const struct image_view *v, struct arena *arena, struct bytes *json,
                    struct err *err);

/* Its layer: the size, and the path below layers/, "" for the layer of an image without one: that
 * is image_view_empty. 1; 0: it isn't in the store, as a layer that is to be had elsewhere; -1. */
int image_view_layer(const struct registry *reg, const struct image_view *v, uint64_t *size,
                     char path[BLOB_FILE_PATH_MAX], struct err *err);
struct bytes image_view_empty(void);

#endif
