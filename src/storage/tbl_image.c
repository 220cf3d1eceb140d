#include "storage/tbl_image.h"

#include "storage/tbl.h"
#include "util/banned.h"

#define IMAGE_RECORD_MAX (IMAGE_JSON_MAX + TBL_RECORD_MAX)

static struct key
make_key(const struct digest *id)
{
    struct key k = {.n = 0};

    key_digest(&k, id);
    return k;
}

int
tbl_image_get(struct txn *t, const struct digest *id, struct buf *val, struct rec_image *r,
              struct err *err)
{
    struct key k = make_key(id);
    int rc = tbl_fetch(t, TABLE_IMAGE, &k, false, IMAGE_RECORD_MAX, val, err);

    if (rc == 1 && rec_image_decode(r, buf_bytes(val), err) != 0)
        rc = -1;
    return rc;
}

int
tbl_image_put(struct txn *t, const struct digest *id, const struct rec_image *r, struct err *err)
{
    struct key k = make_key(id);
    struct buf val;

    buf_init(&val, IMAGE_RECORD_MAX);
    rec_image_encode(&val, r);
    return tbl_store(t, TABLE_IMAGE, &k, &val, err);
}
