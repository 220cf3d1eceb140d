#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* Images of the first API: each has an id that its pusher chose, a JSON, one layer, and a parent,
 * but for the last of a chain. Here is what all need to know of them; they come in by image_push.h,
 * and get their tags by image_tag.h. */

/* The longest chain, an image and all of its ancestors. The clients end at 127. */
#define IMAGE_CHAIN_MAX 1000

/* So many digits of an id are enough to ask for it, if no other image begins so. */
#define IMAGE_SHORT_MIN 4

struct image {
    struct digest id;
    bool verified; /* by the client's checksum: never changed any more */
    struct digest layer;
    struct digest checksum;        /* of the payload: its JSON, a newline, its layer */
    uint64_t size;                 /* of the layer */
    char path[BLOB_FILE_PATH_MAX]; /* of the layer, below layers/ */
};

/* Is it all there, for others to see? The checksum may still be to come: some clients send none. */
bool image_is_whole(const struct rec_image *r);

/* The id in a path that reads: all 64 digits, or the first of them; also of what the second API has
 * pushed (image_view.h). ERR_NO_IMAGE; ERR_BAD_REQUEST when several begin so. */
int image_resolve(const struct registry *reg, const char *text, struct digest *id, struct err *err);

/* The image, if it is whole: 0, or -1 and ERR_NO_IMAGE. for_push: whoever asks may push, and may
 * rely on the answer for some seconds: an image that is about to go is not there. */
int image_find(const struct registry *reg, const struct digest *id, bool for_push,
               struct image *image, struct err *err);

/* Its JSON, byte for byte, in the arena. ERR_NO_IMAGE. */
int image_json(const struct registry *reg, const struct digest *id, struct arena *arena,
               struct bytes *json, struct err *err);

/* The image and its ancestors, itself first, into chain, which has room for IMAGE_CHAIN_MAX; reads
 * in that transaction. ERR_NO_IMAGE when one of them isn't whole. */
int image_chain(struct txn *t, const struct digest *id, struct digest *chain, size_t *n,
                struct err *err);

/* The same, outside of a transaction. */
int image_ancestry(const struct registry *reg, const struct digest *id, struct digest *chain,
                   size_t *n, struct err *err);

/* Has a tag ever led to it? Then others may rely on it: it isn't changed any more, verified or not.
 * 1, 0, -1. */
int image_is_held(struct txn *t, const struct digest *id, struct err *err);

/* For a transaction that removes a keeper of the image, as lease_blob (domain/core/lease.h). */
int image_lease(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
                struct err *err);
