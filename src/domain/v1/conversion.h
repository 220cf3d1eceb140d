#pragma once

#include <stdint.h>
#include "storage/layers/inflate.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* The documents that clients of the second API need for a v1 image: an image's config, and a
 * manifest ("image manifest version 2, schema 2"). All layers stay as they are, the empty ones too,
 * and each image of the chain becomes a line of the history. The config has the image's id in a
 * member v1_id. The bytes depend on nothing but the input, so they are the same on each server. */

/* The most layers of an image. docker's limit is the same. */
#define CONVERSION_LAYERS_MAX 127
/* The longest config, in bytes. Its size is nearly that of the top image's JSON. It has at most
 * CONFIG_VALUES_MAX values, too (domain/core/config.h). */
#define CONVERSION_CONFIG_MAX (1u << 20)

struct conversion_layer {
    struct digest blob;
    uint64_t size;
    enum inflate_format format;
    struct digest diff_id;
};

struct conversion {
    struct bytes config; /* both are in the arena */
    struct bytes manifest;
    struct digest config_digest;
    struct digest manifest_digest;
};

#define CONVERSION_MEDIA_TYPE "application/vnd.docker.distribution.manifest.v2+json"

struct conversion_draft;

struct conversion_draft *conversion_begin(void);
/* Adds an image with its layer and JSON, the base first. ERR_BAD_IMAGE: no config can be made of
 * such an image; the message says what is wrong with it. */
int conversion_add(struct conversion_draft *d, const struct conversion_layer *layer,
                   struct bytes json, struct err *err);
/* Makes the documents, after the image itself was added. */
int conversion_finish(struct conversion_draft *d, struct arena *arena, struct conversion *out,
                      struct err *err);
void conversion_free(struct conversion_draft *d);
