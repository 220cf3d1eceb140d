#pragma once

#include "domain/access/access.h"
#include "domain/core/condition.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Tags that clients of the first API put. Both APIs share one table, so each can move, delete and
 * list (image_list.h) the other's tags. */

/* Points the tag to a manifest of the repository, by its id in the first API or its digest. If no
 * manifest has that id, points the tag to an image instead, whose whole chain must exist
 * (ERR_NO_IMAGE), and makes the chain visible to all users who may pull from the repository.
 * ERR_NO_IMAGE for an image that the actor may not pull (image_seen.h), and for the id of an
 * ancestor, since it has no manifest of its own. condition: on the tag; NULL: none. */
int image_tag_put(const struct registry *reg, const char *repository, const char *tag,
                  const struct digest *id, const struct condition *condition,
                  const struct actor *actor, struct arena *arena, struct err *err);

/* The same for an image that is known to be one of the first API: manifests with that id don't
 * count. */
int image_tag_put_own(const struct registry *reg, const char *repository, const char *tag,
                      const struct digest *id, const struct condition *condition,
                      const struct actor *actor, struct arena *arena, struct err *err);
