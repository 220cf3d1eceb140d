#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* A client that builds on an image pushes only the images above it, because the base exists here.
 * If the base was pushed by the second API, it must become an image of the first API to be a
 * parent. */

/* Makes v1 images, as pushed by that actor, from the view of that id and all images below it
 * (image_view.h), with the same ids, JSONs and layers. New images count as verified, and are
 * collected like others. Existing images remain unchanged; ERR_BAD_IMAGE: one has the id of an
 * image of the view, and differs. 1; 0: there is no proven view of that id
 * (image_by_id_find_proven), or a layer isn't in the store; -1. */
int image_of_manifest_adopt(const struct registry *reg, const struct digest *id,
                            const struct actor *actor, struct err *err);
