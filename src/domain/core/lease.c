#include "domain/core/lease.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_job.h"

int
lease_blob(struct txn *t, const struct registry *reg, const struct digest *d, uint64_t now,
           struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get_for_update(t, d, &r, err);

    if (rc <= 0)
        return rc;
    if (r.leased_until >= now + reg->lease_ms)
        return 0;
    r.leased_until = now + reg->lease_ms;
    return tbl_blob_put(t, d, &r, err);
}

struct document_holders {
    const struct edge *ours;
    bool others;
};

static int
note_document_holder(const struct edge *e, void *arg, struct err *err)
{
    struct document_holders *h = arg;

    (void)err;
    h->others = e->kind != h->ours->kind || e->repo != h->ours->repo;
    return h->others;
}

/* The edges are read before they are written, so no other transaction can add a holder in
 * between. */
int
lease_document(struct txn *t, const struct registry *reg, const struct edge *ours, uint64_t size,
               uint64_t now, struct err *err)
{
    static const enum edge_kind KINDS[] = {EDGE_HELD, EDGE_TRASHED};
    struct document_holders h = {.ours = ours};

    for (size_t i = 0; i < 2 && !h.others; i++)
        if (tbl_edge_each(t, &ours->to, KINDS[i], 0, NULL, note_document_holder, &h, err) != 0)
            return -1;
    if (h.others)
        return 0;
    return size > CONTENT_MAX ? lease_blob(t, reg, &ours->to, now, err)
                              : tbl_content_drop(t, &ours->to, err);
}

int
lease_look_at(struct txn *t, const struct digest *d, uint64_t when, struct err *err)
{
    struct job job = {.kind = JOB_COLLECT, .due = when, .digest = *d};
    struct rec_job work = {.tries = 0};

    return tbl_job_put(t, &job, &work, err);
}
