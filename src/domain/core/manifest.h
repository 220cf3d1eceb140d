#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/media_type.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* A manifest as a document: OCI image-spec 1.1 manifest.md and image-index.md, and docker's image
 * manifest version 2, schema 2, and its list. Only the members that the registry needs are parsed;
 * the bytes are stored as they came. */

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
    bool elsewhere; /* has urls, so it need not be in the registry */
};

struct manifest {
    const struct media_type *media_type;
    /* OCI 1.1: artifactType, else the config's media type; "" for none */
    const char *artifact_type;
    bool has_subject;
    struct digest subject;
    struct digest config; /* DIGEST_NONE in an index */
    bool is_image;        /* its layers can be unpacked and run; else an index or an artifact */
    struct manifest_descriptor *descriptors;
    size_t descriptors_n;
    /* The first place where a media type is missing or malformed; NULL: there is none. */
    const char *bad_type;
    /* The first annotations that aren't a map of strings ("annotations", "config", ...); NULL: all
     * are. Clients in Go can't read such a manifest, or a list that has its annotations. */
    const char *bad_annotations;
};

/* Are the annotations a map of strings, or missing? (OCI image-spec annotations.md, "Rules") */
bool manifest_annotations_are_good(const struct json *annotations);

/* Parses a manifest. content_type: of the request, without parameters; "": none. If the document
 * has a mediaType as well, both must be equal. Texts and descriptors are in the arena. 0, or -1:
 * ERR_BAD_MANIFEST, ERR_UNSUPPORTED (schema 1), ERR_BAD_DIGEST; the message names the wrong member.
 * Bad annotations and media types of parts are no error here, since older stores and other
 * registries have them: see manifest_check. */
int manifest_parse(struct manifest *m, struct bytes document, const char *content_type,
                   struct arena *arena, struct err *err);

/* Checks the rules that hold for pushed manifests only. 0, or -1 and ERR_BAD_MANIFEST. */
int manifest_check(const struct manifest *m, struct err *err);

/* The id of the manifest with digest d in hooks and in the first API: the digest of an image's
 * config, or d itself for an index or an artifact. */
const struct digest *manifest_id(const struct manifest *m, const struct digest *d);

/* Sorts by digest, the order of keys in storage. */
void manifest_sort(struct manifest_descriptor *descriptors, size_t n);
