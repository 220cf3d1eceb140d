#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* A client that builds on an image of the first API pushes only what is above it, since the base
 * exists here by its id. If the base came by the second API, it must become an image of the first
 * API as well, to be a parent. */

/* Makes v1 images of the view of that id and of all images below it (image_view.h), with the same
 * ids, JSONs and layers, in the name of that actor. The new ones count as verified, and are
 * collected like any others. Existing images remain unchanged; ERR_BAD_IMAGE: one of them has the
 * id of an image of the view, and is another. 1; 0: no view of that id prevails over a v1 image of
 * that id (image_view_prevails), or there is none with layers of ours; -1. */
int image_of_manifest_adopt(const struct registry *reg, const struct digest *id,
                            const struct actor *actor, struct err *err);
