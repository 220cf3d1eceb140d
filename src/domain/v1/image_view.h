#pragma once

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

/* An image of the second API as the first API shows it: a chain of images, one for each layer, as
 * docker since 1.10 pushes an image to a registry of the first API. The id of the topmost image is
 * the digest of the config, and its JSON is nearly all of the config. The ids of the others are the
 * chain ids of the layers (image_ids.h), and their JSON has the entries of the config's history.
 * All of it is computed from config and manifest; only the ids are stored. */

struct image_view {
    uint64_t repo; /* the repository whose manifest is shown */
    struct digest manifest;
    struct digest *ids;    /* of the image and its ancestors, itself first; in the arena */
    struct digest *layers; /* their blobs; DIGEST_NONE for the one of an image without layers */
    size_t n;
    size_t layer;         /* the number of its own layer; the lowest is 0 */
    size_t layers_n;      /* the number of layers in the config */
    bool topmost;         /* its id is the digest of its config */
    struct digest on_top; /* the id that an ancestor with the topmost layer would have */
    struct bytes config;  /* in the arena */
};

/* Makes the view of a manifest of that repository, in the arena. platform: as for platform_find.
 * Reads files: not in a transaction. 1; 0: there is no such manifest; -1. ERR_NO_IMAGE: the
 * manifest isn't an image, or can't be shown, as the message says. */
int image_view_of(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, struct arena *arena, struct image_view *v,
                  struct err *err);

/* The id that the first API gives to a manifest of that repository: for a converted v1 image its
 * own id, for another image the digest of its config, for an index the id of its image, and for
 * others their own digest. In most cases the records have it. Otherwise documents are read, whose
 * bytes are subtracted from *memory. If *memory is used up, the id is the manifest's own digest,
 * which leads to it as well; with a platform, where this would be wrong, the result is
 * ERR_TOO_LARGE. 1; 0: there is no such manifest, or it has no image for that platform; -1. */
int image_view_id(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, size_t *memory, struct digest *id,
                  struct err *err);

/* Makes the image's JSON in the arena. The same config gives the same JSON. */
int image_view_json(const struct image_view *v, struct arena *arena, struct bytes *json,
                    struct err *err);

/* The size of the image's layer, and its path below layers/; "" stands for image_view_empty, the
 * layer of an image without layers. 1; 0: the layer is kept elsewhere, and not in the store; -1. */
int image_view_layer(const struct registry *reg, const struct image_view *v, uint64_t *size,
                     char path[BLOB_FILE_PATH_MAX], struct err *err);
struct bytes image_view_empty(void);
