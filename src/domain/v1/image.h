#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/files/blob_file.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/digest.h"
#include "util/err.h"

/* Images of the first API. Each has an id that its pusher chose, a JSON, one layer, and a parent;
 * only the base image, at the end of a chain, has no parent. This file has what the others use;
 * image_push.h receives images, and image_tag.h tags them. */

/* The longest chain: an image and all its ancestors. The clients' limit is 127. */
#define IMAGE_CHAIN_MAX 1000

/* An id may be abbreviated to this many digits or more, if no other id begins with them. */
#define IMAGE_SHORT_MIN 4

struct image {
    struct digest id;
    struct digest layer;
    struct digest checksum;        /* of the payload: its JSON, a newline, its layer */
    uint64_t size;                 /* of the layer */
    char path[BLOB_FILE_PATH_MAX]; /* of the layer, below layers/ */
};

/* True if JSON and layer are there, so that the image is visible. The checksum may be missing: some
 * clients send none. */
bool image_is_whole(const struct rec_image *r);

/* Checks that this user may change or tag the image. Until the checksum is verified, only the user
 * who pushed the JSON may. 0, or -1 and ERR_EXISTS. */
int image_check_pusher(const struct rec_image *r, const struct actor *actor, struct err *err);

/* Parses the id in the path of a reading request: 64 digits, or the first ones; also the id of an
 * image of the second API (image_view.h). ERR_NO_IMAGE; ERR_BAD_REQUEST if several images begin
 * with these digits. Short ids tell of all images, so an actor who may not pull everything needs
 * all digits. */
int image_resolve(const struct registry *reg, const struct actor *actor, const char *text,
                  struct digest *id, struct err *err);

/* Reads the record of a whole image (image_is_whole): 0, or -1 and ERR_NO_IMAGE. for_push: the
 * caller may push, and may rely on the answer for some seconds; an image that is about to be
 * collected counts as absent. */
int image_find(const struct registry *reg, const struct digest *id, bool for_push,
               struct image *image, struct err *err);

/* Reads its JSON, byte for byte, into the arena. ERR_NO_IMAGE. */
int image_json(const struct registry *reg, const struct digest *id, struct arena *arena,
               struct bytes *json, struct err *err);

/* Reads the ids of the image and its ancestors, itself first, into chain, which has room for
 * IMAGE_CHAIN_MAX; reads in that transaction. ERR_NO_IMAGE if one of them isn't whole. */
int image_chain(struct txn *t, const struct digest *id, struct digest *chain, size_t *n,
                struct err *err);

/* The same, outside of a transaction. */
int image_ancestry(const struct registry *reg, const struct digest *id, struct digest *chain,
                   size_t *n, struct err *err);

/* True if a tag has ever pointed to the image. Then others may rely on it, and it isn't changed any
 * more, whether it is verified or not. 1, 0, -1. */
int image_is_held(struct txn *t, const struct digest *id, struct err *err);

/* Gives the image a lease, as lease_blob does for a blob (domain/core/lease.h). */
int image_lease(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
                struct err *err);
