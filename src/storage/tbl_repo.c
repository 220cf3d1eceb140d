#include "storage/tbl_repo.h"

#include "storage/tbl.h"
#include "util/banned.h"

static struct key
make_key(const char *name)
{
    struct key k = {.n = 0};

    key_text(&k, name);
    return k;
}

static int
load(struct txn *t, const struct key *k, bool for_update, struct rec_repo *r, struct err *err)
{
    struct buf val;
    int rc = tbl_fetch(t, TABLE_REPO, k, for_update, TBL_RECORD_MAX, &val, err);

    if (rc == 1 && rec_repo_decode(r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_repo_get(struct txn *t, const char *name, struct rec_repo *r, struct err *err)
{
    struct key k = make_key(name);

    return load(t, &k, false, r, err);
}

int
tbl_repo_get_for_update(struct txn *t, const char *name, struct rec_repo *r, struct err *err)
{
    struct key k = make_key(name);

    return load(t, &k, true, r, err);
}

int
tbl_repo_put(struct txn *t, const char *name, const struct rec_repo *r, struct err *err)
{
    struct key k = make_key(name);
    struct buf val;

    buf_init(&val, TBL_RECORD_MAX);
    rec_repo_encode(&val, r);
    return tbl_store(t, TABLE_REPO, &k, &val, err);
}
