#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* The manifests that have an id of the first API (tbl_edge.h, EDGE_ID). */

/* The most that are read. An id of a common base may have more; the rest is ignored. */
#define IMAGE_NAMED_MAX 64

struct image_named {
    uint64_t repo;
    struct digest manifest;
    /* The id is the digest of the manifest or of its config. Otherwise it is a chain id: only the
     * config, which its pusher wrote, says so. */
    bool is_own;
    bool is_made; /* the manifest was made of a v1 image, which has an id of its own */
};

struct image_named_list {
    struct image_named v[IMAGE_NAMED_MAX];
    size_t n;
};

/* Reads the manifests of that repository (0: of all) that have the id: first those with is_own, and
 * both in the order of the repositories' ages. */
int image_named_read(const struct registry *reg, uint64_t repo, const struct digest *id,
                     struct image_named_list *list, struct err *err);
