#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/edge_batch.h"
#include "domain/core/manifest.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "storage/tables/tbl_edge.h"
#include "util/digest.h"
#include "util/err.h"

/* A deleted manifest that the history of a tag names (history.h) goes into the trash of its
 * repository: clients don't see it any more, but its record stays in table trash, and edges of
 * other kinds keep its document and its parts. undo.h takes it out again. A manifest in the
 * trash stays there as long as an index in the trash names it. If an index that isn't deleted names
 * it, it stays for --history-keep, because the index may be deleted next. */

/* In a transaction that deletes a manifest, after its record and before its document. held: its
 * edge EDGE_HELD. untagged: the transaction also deletes tags of it. 1: the manifest is in the
 * trash, so the caller leaves the document alone, adds trash_put_edges, and a job
 * (history_look_at); 0: it goes; -1. */
int trash_take(struct txn *t, const struct registry *reg, const struct edge *held,
               const struct rec_manifest *r, bool untagged, uint64_t now, struct err *err);

/* The edges of a manifest in the trash. */
void trash_put_edges(struct edge_batch *edges, uint64_t repo, const struct digest *d,
                     const struct rec_manifest *r, const struct manifest *m);
void trash_delete_edges(struct edge_batch *edges, uint64_t repo, const struct digest *d,
                        const struct rec_manifest *r, const struct manifest *m);

/* Removes the manifest from the trash if nothing names it any more; with `purge` in any case. The
 * things that it kept get leases. 0 also when it isn't there. */
int trash_empty(const struct registry *reg, uint64_t repo, const struct digest *d, bool purge,
                struct err *err);

/* *until: the manifest stays in the trash at least until then; 0 if it isn't there. Returns 0 or
 * -1. */
int trash_until(const struct registry *reg, uint64_t repo, const struct digest *d, uint64_t *until,
                struct err *err);
