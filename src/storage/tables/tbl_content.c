#include "storage/tables/tbl_content.h"
#include "storage/tables/key.h"
#include "storage/tables/tables.h"

int
tbl_content_get(struct txn *t, const struct digest *d, struct buf *bytes, struct err *err)
{
    struct key k = key_of_digest(d);

    buf_init(bytes, d->algo == DIGEST_V1_ID ? CONTENT_JSON_MAX : CONTENT_MAX);
    return kv_get(t, TABLE_CONTENT, key_of(&k), bytes, err);
}

void
tbl_content_expect(struct txn *t, const struct digest *d)
{
    struct key k = key_of_digest(d);

    kv_expect(t, TABLE_CONTENT, key_of(&k));
}

int
tbl_content_put(struct txn *t, const struct digest *d, struct bytes bytes, struct err *err)
{
    struct key k = key_of_digest(d);

    return kv_put(t, TABLE_CONTENT, key_of(&k), bytes, err);
}

int
tbl_content_drop(struct txn *t, const struct digest *d, struct err *err)
{
    struct key k = key_of_digest(d);

    return kv_drop(t, TABLE_CONTENT, key_of(&k), err);
}
