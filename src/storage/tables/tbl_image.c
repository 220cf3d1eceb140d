#include "storage/tables/tbl_image.h"

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const struct digest *id)
{
    struct key k = {.n = 0};

    key_digest(&k, id);
    return k;
}

static int
load(struct txn *t, const struct digest *id, bool for_update, struct rec_image *r, struct err *err)
{
    struct key k = make_key(id);
    struct buf val;
    int rc = tbl_fetch(t, TABLE_IMAGE, &k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_image_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_image_get(struct txn *t, const struct digest *id, struct rec_image *r, struct err *err)
{
    return load(t, id, false, r, err);
}

int
tbl_image_get_for_update(struct txn *t, const struct digest *id, struct rec_image *r,
                         struct err *err)
{
    return load(t, id, true, r, err);
}

int
tbl_image_put(struct txn *t, const struct digest *id, const struct rec_image *r, struct err *err)
{
    struct key k = make_key(id);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_image_encode(&val, r);
    return tbl_store(t, TABLE_IMAGE, &k, &val, err);
}

int
tbl_image_delete(struct txn *t, const struct digest *id, struct err *err)
{
    struct key k = make_key(id);

    return kv_delete(t, TABLE_IMAGE, key_of(&k), err);
}

struct each {
    int (*fn)(const struct digest *id, const struct rec_image *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    struct rec_reader rd = rec_reader_of(key);
    struct rec_image r;
    struct digest id;

    rec_take_digest(&rd, &id);
    if (rd.bad || rd.n != 0) {
        err_set(err, ERR_CORRUPT, "a key of table image can't be read");
        return tbl_skip(err);
    }
    if (rec_image_decode(&r, val, err) != 0)
        return tbl_skip(err);
    return e->fn(&id, &r, e->arg, err);
}

int
tbl_image_each(struct txn *t, const struct digest *from,
               int (*fn)(const struct digest *id, const struct rec_image *r, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    struct each e = {fn, arg};
    struct key k = make_key(from);

    return kv_range_each(t, TABLE_IMAGE, &(struct kv_range){.from = key_of(&k)}, visit, &e, err);
}
