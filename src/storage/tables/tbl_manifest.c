#include "storage/tables/tbl_manifest.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

static struct key
manifest_key(uint64_t repo, const struct digest *d)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_digest(&k, d);
    return k;
}

int
tbl_manifest_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_manifest *r,
                 struct err *err)
{
    return tbl_get(t, &record_manifest, manifest_key(repo, d), r, err);
}

void
tbl_manifest_expect(struct txn *t, uint64_t repo, const struct digest *d)
{
    tbl_expect(t, &record_manifest, manifest_key(repo, d));
}

int
tbl_manifest_put(struct txn *t, uint64_t repo, const struct digest *d, const struct rec_manifest *r,
                 struct err *err)
{
    return tbl_put(t, &record_manifest, manifest_key(repo, d), r, err);
}

int
tbl_manifest_delete(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    return tbl_delete(t, &record_manifest, manifest_key(repo, d), err);
}

int
tbl_manifest_any(struct txn *t, uint64_t repo, struct err *err)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    return kv_range_any(t, TABLE_MANIFEST, key_of(&k), err);
}
