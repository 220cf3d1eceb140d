#pragma once

#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Tags that clients of the first API put. They stand in one table with those that the second has
 * put, so each API may move, delete and list (image_list.h) what the other has put there. */

/* Moves the tag to the image, whose whole chain has to be here (ERR_NO_IMAGE), and makes all of it
 * visible to those who may pull from the repository. Or to a manifest, by the id that the first API
 * calls it by, or its own digest: one that the repository has (ERR_NO_IMAGE: another's right to its
 * layers isn't passed on by an id, and what an image stands upon has no manifest of its own). */
int image_tag_put(const struct registry *reg, const char *repository, const char *tag,
                  const struct digest *id, const struct actor *actor, struct arena *arena,
                  struct err *err);
