#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* A derived manifest is one that the registry has made from a foreign image (foreign_images.h). It
 * keeps that image. It is deleted with its last tag, unless a client has pushed it as well. */

bool derived_is(const struct rec_manifest *r);

/* Adds the job (JOB_FORGET) that deletes the manifest if no tag of the repository needs it. For a
 * transaction that takes a tag from it. */
int derived_look_at(struct txn *t, uint64_t repo, const struct digest *d, uint64_t now,
                    struct err *err);
