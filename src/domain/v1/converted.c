#include "domain/v1/converted.h"

#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_manifest.h"
#include "util/banned.h"

bool
converted_is_ours(const struct rec_manifest *r)
{
    return r->made_from.algo != DIGEST_NONE && !r->pushed_too;
}

static int
see_manifest(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(struct digest *)arg = e->from;
    return 1;
}

int
converted_find(struct txn *t, uint64_t repo, const struct digest *id, struct digest *manifest,
               struct err *err)
{
    manifest->algo = DIGEST_NONE;
    if (tbl_edge_each(t, id, EDGE_MADE, repo, NULL, see_manifest, manifest, err) != 0)
        return -1;
    return manifest->algo != DIGEST_NONE;
}

int
converted_id(struct txn *t, uint64_t repo, const struct digest *target, struct digest *id,
             struct err *err)
{
    struct rec_manifest r;
    int rc;

    *id = *target;
    if (target->algo == DIGEST_V1_ID || target->algo == DIGEST_NONE)
        return target->algo == DIGEST_V1_ID;
    rc = tbl_manifest_get(t, repo, target, &r, err);
    if (rc != 1)
        return rc;
    *id = r.made_from;
    return id->algo != DIGEST_NONE;
}

int
converted_was(struct txn *t, uint64_t repo, const struct digest *old, struct err *err)
{
    struct rec_manifest r;
    int rc;

    if (old->algo == DIGEST_V1_ID || old->algo == DIGEST_NONE)
        return 0;
    rc = tbl_manifest_get(t, repo, old, &r, err);
    return rc == 1 ? converted_is_ours(&r) : rc;
}

int
converted_look_later(struct txn *t, uint64_t repo, const struct digest *old, uint64_t now,
                     struct err *err)
{
    struct job job = {.kind = JOB_FORGET, .due = now, .digest = *old};
    struct rec_job work = {.instance = repo};
    int rc;

    /* The same manifest, at the same moment, in another repository. */
    while ((rc = tbl_job_get(t, &job, NULL, err)) == 1)
        job.due++;
    if (rc < 0)
        return -1;
    return tbl_job_put(t, &job, &work, err);
}
