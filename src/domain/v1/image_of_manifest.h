#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Who builds on an image that he got by the first API, pushes what is above it only: it is here
 * already, by its id. If the second API has brought it, it has to become an image of the first one
 * as well, to be a parent. */

/* Makes v1 images of what is shown by that id and of all below it (image_view.h), with the same
 * ids, JSONs and layers, in the name of that actor. Those that are there stay as they are. They are
 * as if verified, and go as all others do when nothing keeps them. 1; 0: nothing that has layers of
 * ours is called so; -1. */
int image_of_manifest_adopt(const struct registry *reg, const struct digest *id,
                            const struct actor *actor, struct err *err);
