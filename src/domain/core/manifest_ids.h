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

/* The chain ids of an image's layers, and the ids that lead to its manifest besides the digest
 * (foreign_images.h), both read from its config. The documents never change, so the results are the
 * same when a manifest is stored and when it is deleted. */
struct manifest_ids {
    bool certain; /* the document is no image: its own id says all about it */
    const struct digest
        *chain;       /* lowest layer first; NULL: not an image, or no diff ids in its config */
    struct digest *v; /* the first is its own: the digest of its config, or its digest */
    size_t n;
};

/* Reads those of the manifest with digest d into the arena. Reads a file: not in a transaction. */
int manifest_ids_read(const struct registry *reg, const struct manifest *m, const struct digest *d,
                      struct arena *arena, struct manifest_ids *ids, struct err *err);

/* Each id is an edge to the manifest, which is put when the manifest is stored, and deleted with
 * it. The manifest's own id has a second edge. The edges begin as EDGE_ID, since the config of the
 * image hasn't been compared with its layers yet. manifest_ids_put is not for a manifest that the
 * repository has already: its edges may be settled. */
void manifest_ids_put(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                      const struct digest *manifest);
void manifest_ids_delete(struct edge_batch *edges, const struct manifest_ids *ids, uint64_t repo,
                         const struct digest *manifest);

/* An id, compared with the layers. */
struct judged_id {
    struct digest id;
    enum id_verdict { ID_FALSE, ID_UNSURE, ID_PROVEN } verdict;
};

/* Replaces the edges EDGE_ID of judged ids, if they still exist. ids: sorted. */
int manifest_ids_settle(struct txn *t, uint64_t repo, const struct digest *manifest,
                        const struct judged_id *ids, size_t n, struct err *err);
