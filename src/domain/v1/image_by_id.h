#pragma once

#include "domain/core/platform.h"
#include "domain/registry.h"
#include "domain/v1/image_view.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Which image of the second API an id of the first API shows.
 *
 * An id is chosen by who pushes it, in both APIs: as the id of a v1 image, or as a chain id that
 * follows from what a config says of its layers. The right to the digest of a manifest or its
 * config is certain. The right to a chain id is known from the indexes of the layers. */

/* Finds the view of an id. Of several manifests that have it, the first whose layers are known to
 * be those of its config is taken, otherwise the first (image_named.h has their order). One whose
 * layers are known to be others is found only by its own id. If a v1 image has the id, complete or
 * not, a manifest is shown only by right. platform: as for platform_find, for the id of an index.
 * Memory comes from the arena. Reads files: not in a transaction. 1; 0: no manifest is shown (a v1
 * image may be); -1: ERR_NO_IMAGE: the manifest is no image, or the message says why it can't be
 * shown; ERR_BUSY: it depends on the index of a layer, which is being made. */
int image_by_id_find(const struct registry *reg, const struct digest *id,
                     const struct platform *platform, struct arena *arena, struct image_view *v,
                     struct err *err);

/* Finds a view to build upon: only one whose layers are known to be those of its config. Returns
 * the same, and waits for an index by ERR_BUSY in each case. */
int image_by_id_find_proven(const struct registry *reg, const struct digest *id,
                            struct arena *arena, struct image_view *v, struct err *err);
