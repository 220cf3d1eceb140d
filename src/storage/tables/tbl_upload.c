#include "storage/tables/tbl_upload.h"

#include <string.h>

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

static struct key
make_key(const char *id)
{
    struct key k = {.n = 0};

    key_text(&k, id);
    return k;
}

static int
load(struct txn *t, const struct key *k, bool for_update, struct rec_upload *r, struct err *err)
{
    struct buf val;
    int rc = tbl_fetch(t, TABLE_UPLOAD, k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_upload_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_upload_get(struct txn *t, const char *id, struct rec_upload *r, struct err *err)
{
    struct key k = make_key(id);

    return load(t, &k, false, r, err);
}

int
tbl_upload_get_for_update(struct txn *t, const char *id, struct rec_upload *r, struct err *err)
{
    struct key k = make_key(id);

    return load(t, &k, true, r, err);
}

int
tbl_upload_put(struct txn *t, const char *id, const struct rec_upload *r, struct err *err)
{
    struct key k = make_key(id);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_upload_encode(&val, r);
    return tbl_store(t, TABLE_UPLOAD, &k, &val, err);
}

int
tbl_upload_delete(struct txn *t, const char *id, struct err *err)
{
    struct key k = make_key(id);

    return kv_delete(t, TABLE_UPLOAD, key_of(&k), err);
}

struct each {
    int (*fn)(const char *id, const struct rec_upload *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    char id[RECORD_UPLOAD_ID_MAX];
    struct rec_upload r;

    if (key.n >= sizeof id) {
        err_set(err, ERR_CORRUPT, "a key of table upload is too long");
        return tbl_skip(err);
    }
    memcpy(id, key.p, key.n);
    id[key.n] = '\0';
    if (rec_upload_decode(&r, val, err) != 0)
        return tbl_skip(err);
    return e->fn(id, &r, e->arg, err);
}

int
tbl_upload_each(struct txn *t,
                int (*fn)(const char *id, const struct rec_upload *r, void *arg, struct err *err),
                void *arg, struct err *err)
{
    struct each e = {fn, arg};

    return kv_range_each(t, TABLE_UPLOAD, &(struct kv_range){0}, visit, &e, err);
}
