#include "domain/core/edge_batch.h"
#include <stdbool.h>
#include "util/mem.h"

struct edge_change {
    struct edge edge;
    bool deleted;
};

static void
add_edge_change(struct edge_batch *b, struct edge e, bool deleted)
{
    b->v = mem_grow(b->v, &b->room, b->n + 1, sizeof *b->v);
    b->v[b->n++] = (struct edge_change){e, deleted};
}

void
edge_batch_put(struct edge_batch *b, struct edge e)
{
    add_edge_change(b, e, false);
}

void
edge_batch_delete(struct edge_batch *b, struct edge e)
{
    add_edge_change(b, e, true);
}

static int
compare_edge_changes(const void *a, const void *b)
{
    return tbl_edge_compare(&((const struct edge_change *)a)->edge,
                            &((const struct edge_change *)b)->edge);
}

int
edge_batch_write(struct txn *t, struct edge_batch *b, struct err *err)
{
    int rc = 0;

    if (b->n > 0)
        qsort(b->v, b->n, sizeof *b->v, compare_edge_changes);
    for (size_t i = 0; i < b->n && rc == 0; i++)
        rc = b->v[i].deleted ? tbl_edge_drop(t, &b->v[i].edge, err)
                             : tbl_edge_put(t, &b->v[i].edge, err);
    free(b->v);
    *b = (struct edge_batch){.n = 0};
    return rc;
}
