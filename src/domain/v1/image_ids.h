#ifndef DOMAIN_V1_IMAGE_IDS_H
#define DOMAIN_V1_IMAGE_IDS_H

#include <stdbool.h>
#include <stddef.h>
#include "domain/core/manifest.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The ids by which the first API finds a manifest: an image's config, and the chain ids of its
 * layers (chain.h), which are those of its ancestors; of all else its own digest. Each is an edge,
 * which comes and goes with the manifest (tbl_edge.h, EDGE_ID). */

/* The ids of the manifest with digest d: struct foreign_images, ids_of_manifest. There is none when
 * it would be a sha512, since clients of the first API don't take those. */
int image_ids_of(const struct manifest *m, const struct digest *d, const struct digest *chain,
                 size_t n, struct arena *arena, struct digest **ids, size_t *ids_n,
                 struct err *err);

/* A digest as an id; false: it is too long for one, and stays what it is. */
bool image_ids_from(const struct digest *d, struct digest *id);

#endif
