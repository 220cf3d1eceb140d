#include "domain/core/lease.h"
#include "storage/tables/tbl_blob.h"
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

int
lease_look_at(struct txn *t, const struct digest *d, uint64_t when, struct err *err)
{
    struct job job = {.kind = JOB_COLLECT, .due = when, .digest = *d};
    struct rec_job work = {.tries = 0};

    return tbl_job_put(t, &job, &work, err);
}
