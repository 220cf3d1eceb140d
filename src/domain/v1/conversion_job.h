#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* Converts images of the first API, as work of the keeper. When the layers of an image are indexed,
 * their diff ids are known. Then the image gets a config and a manifest (conversion.h) in each
 * repository that has a tag for it, and these tags point to the manifest. This causes no event,
 * because it is the same image under the same tags. An image that can't be converted keeps its
 * tags, and its record says why. */

/* For a transaction that points a tag to a v1 image: adds the job that converts it. */
int conversion_job_later(struct txn *t, const struct digest *id, uint64_t now, struct err *err);

/* Converts some images that are due; those that wait for an index become due again later. hurry: an
 * index was just made, so also look at images that wait. A failure is logged and tried again; -1
 * only when the store fails. */
int conversion_job_step(const struct registry *reg, bool hurry, struct err *err);
