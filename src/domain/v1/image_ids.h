#ifndef DOMAIN_V1_IMAGE_IDS_H
#define DOMAIN_V1_IMAGE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include "domain/core/manifest.h"
#include "storage/tables/tbl_edge.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The ids by which the first API finds a manifest: an image's config, and the chain ids of its
 * layers (chain.h), which are those of its ancestors; of all else its own digest. Each is an edge,
 * which comes and goes with the manifest (tbl_edge.h, EDGE_ID). */

struct image_ids {
    struct digest *v; /* in the arena */
    size_t n;         /* 0 when the id would be a sha512: its clients take no such */
};

/* chain: of an image's layers, n of them; 0 when its config doesn't tell. */
int image_ids_of(const struct manifest *m, const struct digest *d, const struct digest *chain,
                 size_t n, struct arena *arena, struct image_ids *out, struct err *err);

/* A digest as an id; false: it is too long for one, and stays what it is. */
bool image_ids_from(const struct digest *d, struct digest *id);

/* The edges, for a manifest of that repository; there has to be room for ids->n. */
void image_ids_edges(const struct image_ids *ids, uint64_t repo, const struct digest *manifest,
                     struct edge *out);

#endif
