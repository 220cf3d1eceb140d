#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* The manifests that have an id of the first API (tbl_edge.h, EDGE_ID and those after it). */

/* The most that are read. An id of a common base may have more; the rest is ignored. */
#define IMAGE_NAMED_MAX 64

struct image_named {
    uint64_t repo;
    struct digest manifest;
    /* The id is the digest of the manifest or of its config. Otherwise it is a chain id: only the
     * config, which its pusher wrote, says so. */
    bool is_own;
    bool is_proven; /* its layers are those of its config */
    bool is_made;   /* the manifest was made of a v1 image, which has an id of its own */
};

struct image_named_list {
    struct image_named v[IMAGE_NAMED_MAX];
    size_t n;
};

/* Reads the manifests of that repository (0: of all) that have the id: first those with is_proven,
 * then those with is_own, then those whose layers aren't known yet, and then those of which they
 * can't be known; each in the order of the repositories' ages. */
int image_named_read(const struct registry *reg, uint64_t repo, const struct digest *id,
                     struct image_named_list *list, struct err *err);

/* May no v1 image with this id be pushed, because the second API has one? begun: a v1 image with
 * the id has been begun; what only claims the id doesn't stop it. 1, 0, -1. */
int image_named_is_taken(struct txn *t, const struct digest *id, bool begun, struct err *err);
