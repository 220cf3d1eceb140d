#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl.h"

int
tbl_blob_get(struct txn *t, const struct digest *d, struct rec_blob *r, struct err *err)
{
    return tbl_get(t, &record_blob, key_of_digest(d), r, err);
}

int
tbl_blob_get_for_update(struct txn *t, const struct digest *d, struct rec_blob *r, struct err *err)
{
    return tbl_get_for_update(t, &record_blob, key_of_digest(d), r, err);
}

void
tbl_blob_expect(struct txn *t, const struct digest *d)
{
    tbl_expect(t, &record_blob, key_of_digest(d));
}

int
tbl_blob_put(struct txn *t, const struct digest *d, const struct rec_blob *r, struct err *err)
{
    return tbl_put(t, &record_blob, key_of_digest(d), r, err);
}

int
tbl_blob_drop(struct txn *t, const struct digest *d, struct err *err)
{
    return tbl_drop(t, &record_blob, key_of_digest(d), err);
}
