#pragma once

#include <stddef.h>
#include "storage/kv/kv.h"
#include "storage/tables/tbl_edge.h"
#include "util/err.h"

/* The edges that a transaction puts and deletes: collected in the order of their meaning, and
 * written in the order of their keys. All zero at first. */
struct edge_batch {
    struct edge_change *v;
    size_t n, room;
};

void edge_batch_put(struct edge_batch *b, struct edge e);
void edge_batch_delete(struct edge_batch *b, struct edge e);

/* Writes them all and frees the batch, also when that fails. An edge to be deleted that isn't there
 * is no failure. */
int edge_batch_write(struct txn *t, struct edge_batch *b, struct err *err);
