#pragma once

#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* What contrib/original-listing writes: the images and tags of an original docker-registry-server,
 * which it keeps in a database of its own, as its API tells of them. A line each:
 *
 *     tags {"library/app:latest":"<id>",...}           as GET /v1/repositories
 *     image <id> <size of its layer> <checksum> {...}  as GET /v1/images/<id>/json, and its headers
 *
 * The checksum is "sha256:<hex>"; it and the size may be "-", where nothing is known. Empty lines,
 * and those that begin with "#", don't count.
 */

struct import_listing_image {
    struct digest id;
    struct digest parent;   /* DIGEST_NONE: none */
    uint64_t size;          /* UINT64_MAX: unknown */
    struct digest checksum; /* DIGEST_NONE: unknown */
    struct bytes json;      /* in the text that was parsed */
};

struct import_listing {
    struct json *tags; /* an object of texts; NULL: none */
    struct import_listing_image *v;
    size_t n;
    size_t room;
};

/* text stays the caller's, and has to live as long. 0, or -1: ERR_BAD_REQUEST, with the line. */
int import_listing_parse(struct import_listing *l, struct bytes text, struct err *err);
void import_listing_free(struct import_listing *l);

/* NULL: it has none. */
const struct import_listing_image *import_listing_find(const struct import_listing *l,
                                                       const struct digest *id);
