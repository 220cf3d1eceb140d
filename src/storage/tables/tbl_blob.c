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

void
tbl_blob_expect_for_update(struct txn *t, const struct digest *d)
{
    tbl_expect_for_update(t, &record_blob, key_of_digest(d));
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

struct blob_visit {
    int (*fn)(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_blob(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct blob_visit *v = arg;
    struct digest d;

    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(&d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_blob_each(struct txn *t, const struct digest *after,
              int (*fn)(const struct digest *d, const struct rec_blob *r, void *arg,
                        struct err *err),
              void *arg, struct err *err)
{
    struct blob_visit v = {fn, arg};
    struct kv_range range = {.behind = true};
    struct key k;

    if (after->algo != DIGEST_NONE) {
        k = key_of_digest(after);
        range.from = key_of(&k);
    }
    return tbl_each(t, &record_blob, &range, visit_blob, &v, err);
}
