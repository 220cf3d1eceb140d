#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* The keeper's work for images of the first API: as soon as the layers of one are indexed, and with
 * that their diff ids known, it gets a config and a manifest (conversion.h) in each repository that
 * has a tag for it, and those tags name the manifest from then on. Nobody is told: it is the same
 * image under the same tags. One that can't be converted keeps its tags as they are, and its record
 * says why. */

/* For a transaction that makes a tag name a v1 image: has it converted. */
int conversion_job_later(struct txn *t, const struct digest *id, uint64_t now, struct err *err);

/* Some images whose time has come; those that wait for an index come again after a while. hurry: an
 * index was done, so look at those that wait as well. A failure is logged, and tried again; -1 only
 * when the store itself fails. */
int conversion_job_step(const struct registry *reg, bool hurry, struct err *err);
