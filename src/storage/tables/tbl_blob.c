#include "storage/tables/tbl_blob.h"

#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const struct digest *d)
{
    struct key k = {.n = 0};

    key_digest(&k, d);
    return k;
}

static int
load(struct txn *t, const struct key *k, bool for_update, struct rec_blob *r, struct err *err)
{
    struct buf val;
    int rc = tbl_fetch(t, TABLE_BLOB, k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_blob_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_blob_get(struct txn *t, const struct digest *d, struct rec_blob *r, struct err *err)
{
    struct key k = make_key(d);

    return load(t, &k, false, r, err);
}

int
tbl_blob_get_for_update(struct txn *t, const struct digest *d, struct rec_blob *r, struct err *err)
{
    struct key k = make_key(d);

    return load(t, &k, true, r, err);
}

int
tbl_blob_put(struct txn *t, const struct digest *d, const struct rec_blob *r, struct err *err)
{
    struct key k = make_key(d);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_blob_encode(&val, r);
    return tbl_store(t, TABLE_BLOB, &k, &val, err);
}

int
tbl_blob_delete(struct txn *t, const struct digest *d, struct err *err)
{
    struct key k = make_key(d);

    return kv_delete(t, TABLE_BLOB, key_of(&k), err);
}
