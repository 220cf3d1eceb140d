#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/core/edge_batch.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"

/* Read from the config of an image: the chain ids of its layers, and the ids that lead to its
 * manifest besides the digest (foreign_images.h). Both follow from documents that never change, so
 * what is computed when a manifest is stored is the same when it is deleted. */
struct manifest_ids {
    const struct digest *chain; /* lowest layer first; NULL: no image, or its config doesn't tell */
    struct digest *v;           /* the first is its own: the digest of its config, or its digest */
    size_t n;
};

/* Of the manifest with digest d. In the arena. Reads a file: not in a transaction. */
int manifest_ids_read(const struct registry *reg, const struct manifest *m, const struct digest *d,
                      struct arena *arena, struct manifest_ids *ids, struct err *err);

/* Each id is an edge to the manifest, which is put when the manifest is stored, and deleted with
 * it. That other ids than its own lead to it is only what its config claims, so their edges begin
 * as EDGE_ID. known: the manifest is there already, and has those edges. */
void manifest_ids_put(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                      const struct digest *manifest, bool known);
void manifest_ids_delete(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                         const struct digest *manifest);

/* What its layers tell of an id. */
struct judged_id {
    struct digest id;
    enum id_verdict { ID_FALSE, ID_UNSURE, ID_PROVEN } verdict;
};

/* Replaces the edges EDGE_ID of ids that have been judged, as far as they are still there. In the
 * order of the ids. */
int manifest_ids_settle(struct txn *t, uint64_t repo, const struct digest *manifest,
                        const struct judged_id *ids, size_t n, struct err *err);
