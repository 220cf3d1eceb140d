#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Derived manifests: the registry itself made one from a foreign image (foreign_images.h), which
 * the manifest keeps. It goes with its last tag, unless a client has pushed it as well. */

bool derived_is(const struct rec_manifest *r);

/* Puts the job (JOB_FORGET) that deletes the manifest if no tag of the repository needs it: in a
 * transaction that takes a tag from it. */
int derived_look_at(struct txn *t, uint64_t repo, const struct digest *d, uint64_t now,
                    struct err *err);
