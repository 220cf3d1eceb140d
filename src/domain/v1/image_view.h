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
 * docker from 1.10 on pushes one to a registry of the first API. The id of the topmost is the
 * digest of its config, and its JSON is nearly all of the config. The ids of those below are the
 * chain ids of the layers (image_ids.h), and their JSON has the entries of the config's history.
 * All of it follows from config and manifest; only the ids are stored. */

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

/* The view of a manifest of that repository. platform: as for platform_find. Memory comes from the
 * arena. Reads files: not in a transaction. 1; 0: the manifest isn't there; -1: ERR_NO_IMAGE: the
 * manifest is no image, or the message says why it can't be shown. */
int image_view_of(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, struct arena *arena, struct image_view *v,
                  struct err *err);

/* The id that the first API gives to a manifest of that repository: for a converted v1 image its
 * own id, for another image the digest of its config, for an index the id of the image that it
 * leads to, and for others their own digest. Mostly the records tell it. Otherwise documents are
 * read, and *memory, the bytes that they may still take, becomes less. When it is used up, a
 * manifest has its own digest as its id, which leads to it as well; for a platform that would be
 * wrong, so it is ERR_TOO_LARGE. 1; 0: the manifest isn't there, or has no image of that platform;
 * -1. */
int image_view_id(const struct registry *reg, uint64_t repo, const struct digest *manifest,
                  const struct platform *platform, size_t *memory, struct digest *id,
                  struct err *err);

/* The image's JSON, always the same for the same config: in the arena. */
int image_view_json(const struct image_view *v, struct arena *arena, struct bytes *json,
                    struct err *err);

/* Its layer: the size, and the path below layers/. The path is "" for the layer of an image without
 * one, which is image_view_empty. 1; 0: the layer isn't in the store, because it is kept elsewhere;
 * -1. */
int image_view_layer(const struct registry *reg, const struct image_view *v, uint64_t *size,
                     char path[BLOB_FILE_PATH_MAX], struct err *err);
struct bytes image_view_empty(void);
