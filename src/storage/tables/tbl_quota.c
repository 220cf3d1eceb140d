#include "storage/tables/tbl_quota.h"
#include "storage/tables/tbl.h"

int
tbl_quota_get(struct txn *t, const struct digest *key, struct rec_quota *r, struct err *err)
{
    return tbl_get(t, &record_quota, key_of_digest(key), r, err);
}

int
tbl_quota_get_for_update(struct txn *t, const struct digest *key, struct rec_quota *r,
                         struct err *err)
{
    return tbl_get_for_update(t, &record_quota, key_of_digest(key), r, err);
}

int
tbl_quota_put(struct txn *t, const struct digest *key, const struct rec_quota *r, struct err *err)
{
    return tbl_put(t, &record_quota, key_of_digest(key), r, err);
}

int
tbl_quota_drop(struct txn *t, const struct digest *key, struct err *err)
{
    return tbl_drop(t, &record_quota, key_of_digest(key), err);
}

struct quota_visit {
    int (*fn)(const struct digest *key, const struct rec_quota *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_quota(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct quota_visit *v = arg;
    struct digest d;

    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(&d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_quota_each(struct txn *t,
               int (*fn)(const struct digest *key, const struct rec_quota *r, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    struct quota_visit v = {fn, arg};

    return tbl_each(t, &record_quota, &(struct kv_range){.limit = 0}, visit_quota, &v, err);
}
