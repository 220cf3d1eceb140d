#pragma once

#include <stddef.h>
#include "storage/kv/kv.h"
#include "storage/tables/tbl_edge.h"
#include "util/err.h"

/* Collects the edges that a transaction puts and deletes, in any order, and writes them in the
 * order of their keys. All zero at first. */
struct edge_batch {
    struct edge_change *v;
    size_t n, room;
};

void edge_batch_put(struct edge_batch *b, struct edge e);
void edge_batch_delete(struct edge_batch *b, struct edge e);

/* Writes all edges, and frees the batch, also after a failure. Deleting a missing edge is no
 * failure. */
int edge_batch_write(struct txn *t, struct edge_batch *b, struct err *err);
