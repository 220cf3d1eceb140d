#pragma once

#include "domain/access/access.h"
#include "domain/core/platform.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Tags as the first API lists them, each with the id of an image: a v1 image, or the id that the
 * first API gives a manifest (image_view_id). platform: selects an image of an index, NULL for the
 * default. A tag that leads to no image of that platform, or whose id shows another image, isn't
 * listed. These functions read files, so they run outside of transactions. */

/* ERR_NO_MANIFEST; ERR_NO_IMAGE: such a tag isn't listed. */
int image_list_find(const struct registry *reg, const char *repository, const char *tag,
                    const struct platform *platform, struct digest *id, struct err *err);

/* Visits the tags in byte order, without holding a lock. fn: as kv_range_fn. ERR_NO_REPOSITORY. */
int image_list_tags(const struct registry *reg, const char *repository,
                    const struct platform *platform,
                    int (*fn)(const char *tag, const struct digest *id, void *arg, struct err *err),
                    void *arg, struct err *err);

/* Lists all images to which the tags lead, each once and after its parent, in the arena. At most 64
 * MiB of documents are read; the ancestors of further images are left out. ERR_NO_REPOSITORY;
 * ERR_TOO_LARGE: there are more than IMAGE_LIST_MAX images or tags. */
#define IMAGE_LIST_MAX 50000
int image_list_images(const struct registry *reg, const char *repository,
                      const struct platform *platform, struct arena *arena, struct digest **ids,
                      size_t *n, struct err *err);

/* Visits in the same way the tags of all repositories from which the actor may pull. */
int image_list_everywhere(const struct registry *reg, const struct actor *actor,
                          int (*fn)(const char *repository, const char *tag,
                                    const struct digest *id, void *arg, struct err *err),
                          void *arg, struct err *err);
