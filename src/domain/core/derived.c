#include "domain/core/derived.h"
#include "storage/tables/tbl_job.h"

bool
derived_is(const struct rec_manifest *r)
{
    return r->made_from.algo != DIGEST_NONE && !r->pushed_too;
}

int
derived_look_at(struct txn *t, uint64_t repo, const struct digest *d, uint64_t now, struct err *err)
{
    struct job job = {.kind = JOB_FORGET, .due = now, .digest = *d};
    struct rec_job work = {.instance = repo};
    int rc;

    /* Another repository may have the same manifest, and move its tag in the same millisecond. */
    while ((rc = tbl_job_has(t, &job, err)) == 1)
        job.due++;
    if (rc < 0)
        return -1;
    return tbl_job_put(t, &job, &work, err);
}
