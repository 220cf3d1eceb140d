#include "storage/tables/tbl_content.h"

#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const struct digest *d)
{
    struct key k = {.n = 0};

    key_digest(&k, d);
    return k;
}

int
tbl_content_get(struct txn *t, const struct digest *d, struct buf *bytes, struct err *err)
{
    struct key k = make_key(d);

    size_t max = d->algo == DIGEST_V1_ID ? CONTENT_JSON_MAX : CONTENT_MAX;

    return tbl_fetch(t, TABLE_CONTENT, &k, false, max, bytes, err);
}

int
tbl_content_put(struct txn *t, const struct digest *d, struct bytes bytes, struct err *err)
{
    struct key k = make_key(d);

    return kv_put(t, TABLE_CONTENT, key_of(&k), bytes, err);
}

int
tbl_content_delete(struct txn *t, const struct digest *d, struct err *err)
{
    struct key k = make_key(d);

    return kv_delete(t, TABLE_CONTENT, key_of(&k), err);
}
