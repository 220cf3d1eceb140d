#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* Leases keep what nothing else keeps. A client that was told that a blob is here relies on it for
 * the push that it makes next; so whatever loses its last keeper stays for the time of a lease
 * (reg->lease_ms), and the keeper looks at it when that is over (garbage.h). */

/* For a transaction that removes a keeper of the blob. 0 also when the blob isn't there. */
int lease_blob(struct txn *t, const struct registry *reg, const struct digest *d, uint64_t now,
               struct err *err);

/* Puts the job that looks whether anything keeps d, a blob or a foreign image, at that time. In the
 * same transaction as the lease, later in the order of tables. */
int lease_look_at(struct txn *t, const struct digest *d, uint64_t when, struct err *err);
