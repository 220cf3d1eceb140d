#pragma once

#include <stdint.h>
#include "storage/s3/s3_bucket.h"
#include "util/digest.h"
#include "util/err.h"

/* Objects that are too large for one PUT (multipart uploads). A part is at most 256 MiB, unless the
 * object needs more than 10000 of them. The object exists when all parts are there, and not before.
 */

/* As s3_client_put. After a failure the parts are given up. */
int s3_parts_put(struct s3_bucket *b, const char *key, int fd, uint64_t n,
                 const struct digest *sha256, struct err *err);
/* Gives up what a crash has left of such uploads: those that began that many seconds ago, at most a
 * thousand at a time. */
int s3_parts_sweep(struct s3_bucket *b, int64_t age_s, struct err *err);
