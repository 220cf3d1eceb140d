#ifndef DOMAIN_CORE_MANIFEST_H
#define DOMAIN_CORE_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/media_type.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* A manifest as a document: OCI image-spec 1.1 manifest.md and image-index.md, and docker's image
 * manifest version 2, schema 2, and its list. What it refers to, and nothing that the registry
 * doesn't need; its bytes are stored as they came. */

#define MANIFEST_DESCRIPTORS_MAX 1000
#define MANIFEST_DEPTH_MAX 32

enum manifest_part {
    PART_CONFIG,
    PART_LAYER,
    PART_CHILD, /* of an index: a manifest, or a blob (build caches) */
};

struct manifest_descriptor {
    enum manifest_part part;
    struct digest digest;
    bool elsewhere; /* has urls: need not be in the registry */
};

struct manifest {
    const struct media_type *media_type;
    const char
        *artifact_type; /* OCI 1.1: artifactType, else the config's media type; "" for none */
    bool has_subject;
    struct digest subject;
    struct digest config; /* DIGEST_NONE in an index */
    bool is_image;        /* to be run, with layers to be unpacked; else an index or an artifact */
    struct manifest_descriptor *descriptors;
    size_t descriptors_n;
};

/* content_type: of the request, without parameters; "" when there was none. It and the document's
 * mediaType must agree. Texts and descriptors are in the arena. 0, or -1: ERR_BAD_MANIFEST,
 * ERR_UNSUPPORTED (schema 1), ERR_BAD_DIGEST; the message says which member is wrong. */
int manifest_parse(struct manifest *m, struct bytes document, const char *content_type,
                   struct arena *arena, struct err *err);

/* What it is called to hooks, and in the first API: an image by its config, all else by its own
 * digest d. */
const struct digest *manifest_id(const struct manifest *m, const struct digest *d);

/* Into the order of their digests, which is that of the keys in storage. */
void manifest_sort(struct manifest_descriptor *descriptors, size_t n);

#endif
