#pragma once

#include "domain/access/access.h"
#include "domain/core/platform.h"
#include "domain/registry.h"
#include "domain/v1/image_view.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Finds the image of the second API that an id of the first API shows.
 *
 * In both APIs the pusher chooses the ids: the id of a v1 image, or the chain ids, which follow
 * from the diff ids in a config. A manifest has a certain right to its own digest and to that of
 * its config. Its right to a chain id is proven by the indexes of its layers. */

/* Finds the view of an id, in the arena. actor: only manifests of repositories from which the actor
 * may pull count; NULL: all. If several manifests have the id, the first whose layers are proven to
 * be those of its config is shown. If there is none, another one is shown, unless a further
 * manifest with the id has a different layer. If a complete v1 image has the id, a manifest is
 * shown only if it is proven; beside a v1 image that is still being pushed, also if the id is the
 * manifest's own. A manifest whose layers are proven not to be those of its config is never shown.
 * platform: as for platform_find, for the id of an index. Reads files: not in a transaction. 1; 0:
 * no manifest is shown (but perhaps a v1 image); -1. ERR_NO_IMAGE: the manifest isn't an image, or
 * can't be shown, as the message says. ERR_BUSY: the answer needs the index of a layer, which is
 * being made. */
int image_by_id_find(const struct registry *reg, const struct actor *actor, const struct digest *id,
                     const struct platform *platform, struct arena *arena, struct image_view *v,
                     struct err *err);

/* For a view to build upon, or to copy: are its layers proven to be those of its config? 1, 0, -1;
 * ERR_BUSY: an index is missing, and is being made. */
int image_by_id_prove(const struct registry *reg, const struct image_view *v, struct err *err);

/* Is the id proven to be that of a manifest? Then no v1 image is begun under it. 1, 0, -1;
 * ERR_BUSY: a manifest claims it, and the index of a layer that tells whether it is right is being
 * made. */
int image_by_id_is_claimed(const struct registry *reg, const struct digest *id, struct err *err);
