#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "domain/core/manifest.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* The ids by which the first API finds a manifest: for an image the digest of its config, and the
 * chain ids of its layers (chain_id.h), which are the ids of its ancestors; for others their own
 * digest. Each id is an edge that comes and goes with the manifest (tbl_edge.h, EDGE_ID). */

/* Implements ids_of_manifest of struct foreign_images. A sha512 gives no id, because clients of the
 * first API don't accept it. */
int image_ids_of(const struct manifest *m, const struct digest *d, const struct digest *chain,
                 size_t n, struct arena *arena, struct digest **ids, size_t *ids_n,
                 struct err *err);

/* Converts a digest to an id. Returns false for a digest that is too long (sha512). */
bool image_ids_from(const struct digest *d, struct digest *id);
