#include "domain/core/derived.h"

#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_manifest.h"
#include "util/banned.h"

bool
derived_is(const struct rec_manifest *r)
{
    return r->made_from.algo != DIGEST_NONE && !r->pushed_too;
}

int
derived_was(struct txn *t, uint64_t repo, const struct digest *old, struct err *err)
{
    struct rec_manifest r;
    int rc;

    if (old->algo == DIGEST_V1_ID || old->algo == DIGEST_NONE)
        return 0;
    rc = tbl_manifest_get(t, repo, old, &r, err);
    return rc == 1 ? derived_is(&r) : rc;
}

int
derived_look_later(struct txn *t, uint64_t repo, const struct digest *old, uint64_t now,
                   struct err *err)
{
    struct job job = {.kind = JOB_FORGET, .due = now, .digest = *old};
    struct rec_job work = {.instance = repo};
    int rc;

    /* Another repository may have the same manifest, and move its tag in the same millisecond. */
    while ((rc = tbl_job_get(t, &job, NULL, err)) == 1)
        job.due++;
    if (rc < 0)
        return -1;
    return tbl_job_put(t, &job, &work, err);
}
