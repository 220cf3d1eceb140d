#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_edge.h"
#include "util/digest.h"
#include "util/err.h"

/* A lease keeps a blob or a foreign image for reg->lease_ms after the last edge that kept it was
 * removed, because a client may have been told that it is here, and rely on that in its next push.
 * When the lease is over, it is collected if nothing keeps it (garbage.h). */

/* Gives the blob a lease. For a transaction that removes an edge which kept it. 0 also when there
 * is no such blob. */
int lease_blob(struct txn *t, const struct registry *reg, const struct digest *d, uint64_t now,
               struct err *err);

/* Deletes the document of a manifest that a repository gives up, unless another edge EDGE_HELD or
 * EDGE_TRASHED than `ours` holds it. A large one gets a lease instead: the caller adds the job. */
int lease_document(struct txn *t, const struct registry *reg, const struct edge *ours,
                   uint64_t size, uint64_t now, struct err *err);

/* Adds a job that looks at time `when` whether anything keeps d, a blob or a foreign image. Must be
 * in the same transaction as the lease, after it (table job comes later in the order of tables). */
int lease_look_at(struct txn *t, const struct digest *d, uint64_t when, struct err *err);
