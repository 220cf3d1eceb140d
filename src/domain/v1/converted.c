#include "domain/v1/converted.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"

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
