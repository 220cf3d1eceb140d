#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Manifests that conversion_job made of v1 images. Such a manifest belongs to one repository and
 * one image. It keeps the image, and is deleted with its last tag, unless a client has pushed it as
 * well. */

/* Finds the manifest of an image in a repository. 1, 0, -1. */
int converted_find(struct txn *t, uint64_t repo, const struct digest *id, struct digest *manifest,
                   struct err *err);

/* The id of a tag's target in the first API, if it is a v1 image or a manifest made of one. 1; 0: a
 * client has pushed the manifest, or it doesn't exist; -1. */
int converted_id(struct txn *t, uint64_t repo, const struct digest *target, struct digest *id,
                 struct err *err);
