#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Decides whether an actor may use an image of the first API by its id. The paths of the first API
 * name an image without a repository, so the right is looked for in the repositories that have it.
 */

enum image_use {
    IMAGE_READ,       /* its pusher may read it as long as no repository has it */
    IMAGE_BUILD_UPON, /* its pusher may always build upon it, and tag it */
};

/* May the actor use the v1 image with that id? The right to pull from a repository that has it is
 * enough; the pusher of the image has the rights of enum image_use. 1, 0 (also if there is no such
 * image), -1. */
int image_seen(const struct registry *reg, const struct actor *actor, const struct digest *id,
               enum image_use use, struct err *err);
