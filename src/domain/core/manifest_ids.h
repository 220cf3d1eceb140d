#pragma once

#include <stddef.h>
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Read from the config of an image: the chain ids of its layers, and the ids that lead to its
 * manifest besides the digest (foreign_images.h). Both follow from documents that never change, so
 * what is computed when a manifest is stored is the same when it is deleted. */
struct manifest_ids {
    const struct digest *chain; /* lowest layer first; NULL: no image, or its config doesn't tell */
    struct digest *v;
    size_t n;
};

/* Of the manifest with digest d. In the arena. Reads a file: not in a transaction. */
int manifest_ids_read(const struct registry *reg, const struct manifest *m, const struct digest *d,
                      struct arena *arena, struct manifest_ids *ids, struct err *err);
