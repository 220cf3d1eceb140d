#include "storage/tables/tbl_manifest.h"

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(uint64_t repo, const struct digest *d)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_digest(&k, d);
    return k;
}

static int
load(struct txn *t, const struct key *k, bool for_update, struct rec_manifest *r, struct err *err)
{
    struct buf val;
    int rc = tbl_fetch(t, TABLE_MANIFEST, k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_manifest_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_manifest_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_manifest *r,
                 struct err *err)
{
    struct key k = make_key(repo, d);

    return load(t, &k, false, r, err);
}

int
tbl_manifest_put(struct txn *t, uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                 struct err *err)
{
    struct key k = make_key(repo, d);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_manifest_encode(&val, r);
    return tbl_store(t, TABLE_MANIFEST, &k, &val, err);
}

int
tbl_manifest_delete(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    struct key k = make_key(repo, d);

    return kv_delete(t, TABLE_MANIFEST, key_of(&k), err);
}

int
tbl_manifest_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key prefix = {.n = 0};

    key_u64(&prefix, repo);
    return kv_range_any(t, TABLE_MANIFEST, key_of(&prefix), err);
}
