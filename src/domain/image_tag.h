#ifndef DOMAIN_IMAGE_TAG_H
#define DOMAIN_IMAGE_TAG_H

#include "domain/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Tags that name v1 images, or manifests that were made of those (convert.h). They stand in one
 * table with those that name other manifests, so each API may move and delete what the other has
 * put there; but these lists have v1 images only. */

/* Moves the tag to the image, whose whole chain has to be here (ERR_NO_IMAGE), and makes all of it
 * visible to those who may pull from the repository. */
int image_tag_put(const struct registry *reg, const char *repository, const char *tag,
                  const struct digest *id, const struct actor *actor, struct arena *arena,
                  struct err *err);

/* ERR_NO_MANIFEST. */
int image_tag_find(const struct registry *reg, const char *repository, const char *tag,
                   struct digest *id, struct err *err);

/* Visits the tags in byte order. ERR_NO_REPOSITORY when there is none. fn as kv_range_fn has it. */
int image_tag_each(const struct registry *reg, const char *repository,
                   int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err),
                   void *arg, struct err *err);

/* All images to which the tags lead, each once, and after its parent; in the arena.
 * ERR_NO_REPOSITORY; ERR_TOO_LARGE when they are more than IMAGE_TAG_IMAGES_MAX. */
#define IMAGE_TAG_IMAGES_MAX 50000
int image_tag_images(const struct registry *reg, const char *repository, struct arena *arena,
                     struct digest **ids, size_t *n, struct err *err);

/* Visits the tags of all repositories that the actor may pull from. */
int image_tag_everywhere(const struct registry *reg, const struct actor *actor,
                         int (*fn)(const char *repository, const char *tag, const struct digest *id,
                                   void *arg, struct err *err),
                         void *arg, struct err *err);

#endif
