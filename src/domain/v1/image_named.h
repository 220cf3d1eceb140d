#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* Lists the manifests that have an id of the first API (edges EDGE_ID and following, tbl_edge.h).
 */

/* The most manifests that are read. The id of a common base may have more; these are ignored. */
#define IMAGE_NAMED_MAX 64

struct image_named {
    uint64_t repo;
    struct digest manifest;
    /* The id is the digest of the manifest or of its config. Otherwise it is a chain id, which the
     * config claims. */
    bool is_own;
    bool is_proven; /* its layers are those of its config */
    bool is_open;   /* its layers haven't been compared with its config yet */
    bool is_made;   /* the manifest was made of a v1 image, which has an id of its own */
};

struct image_named_list {
    struct image_named v[IMAGE_NAMED_MAX];
    size_t n;
    bool more; /* there may be others, which aren't read */
};

/* Reads the manifests of that repository (0: of all) that have the id. actor: with repo 0, only
 * manifests of repositories from which the actor may pull; NULL: all. The order: those with
 * is_proven, those with is_open, and those whose layers can't be compared; within each group, older
 * repositories first. Manifests whose layers differ from their config are left out. */
int image_named_read(const struct registry *reg, const struct actor *actor, uint64_t repo,
                     const struct digest *id, struct image_named_list *list, struct err *err);

/* Does the id show a complete v1 image, and none of that repository's manifests? It does if none of
 * them is proven to have the id, may still be proven to have it, or was made of that image. 1, 0,
 * -1. */
int image_named_is_anothers(const struct registry *reg, uint64_t repo, const struct digest *id,
                            struct err *err);

/* Is the id by right that of a manifest, so that no v1 image can be pushed under it? 1, 0, -1. */
int image_named_is_taken(struct txn *t, const struct digest *id, struct err *err);
