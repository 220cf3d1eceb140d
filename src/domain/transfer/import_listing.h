#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* The output of contrib/original-listing: the images and tags of an original
 * docker-registry-server. The original keeps them in a database that this program can't read, so
 * the script asks its API. One line each:
 *
 *     tags {"library/app:latest":"<id>",...}           as GET /v1/repositories
 *     image <id> <size of its layer> <checksum> {...}  as GET /v1/images/<id>/json, and its headers
 *
 * The checksum is "sha256:<hex>". Size and checksum are "-" if they are unknown. Empty lines, and
 * lines that begin with "#", are ignored. */

struct import_listing_image {
    struct digest id;
    struct digest parent;   /* DIGEST_NONE: none */
    uint64_t size;          /* UINT64_MAX: unknown */
    struct digest checksum; /* DIGEST_NONE: unknown */
    struct bytes json;      /* points into the parsed text */
};

struct import_listing {
    bool saved;        /* the layers are ID/layer.tar (import_saved.h), and not layers/ID */
    struct json *tags; /* an object of texts; NULL: none */
    struct import_listing_image *v;
    size_t n;
    size_t room;
};

/* Parses text, which must outlive the listing. 0, or -1 and ERR_BAD_REQUEST with the line's number.
 */
int import_listing_parse(struct import_listing *l, struct bytes text, struct err *err);

/* Adds an image, and reads its parent from its JSON. 0, or -1 and ERR_BAD_REQUEST. After the last
 * one the listing must be sorted. */
int import_listing_add(struct import_listing *l, const struct import_listing_image *image,
                       struct err *err);
void import_listing_sort(struct import_listing *l);
void import_listing_free(struct import_listing *l);

/* NULL: there is no such image. */
const struct import_listing_image *import_listing_find(const struct import_listing *l,
                                                       const struct digest *id);
