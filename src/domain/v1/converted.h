#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Manifests that the keeper made of v1 images (convert.h): what others need to know of them. Such a
 * one belongs to one repository and one image, which it keeps, and goes with its last tag; unless a
 * client has pushed it as well. */

/* The manifest of that image in that repository. 1, 0, -1. */
int converted_find(struct txn *t, uint64_t repo, const struct digest *id, struct digest *manifest,
                   struct err *err);

/* What the first API calls what a tag names: a v1 image's id, also that of which the manifest was
 * made. 1; 0: it is a manifest that a client has pushed, or it isn't there; -1. */
int converted_id(struct txn *t, uint64_t repo, const struct digest *target, struct digest *id,
                 struct err *err);
