#include "storage/tables/tbl_repo.h"

#include <stdio.h>
#include <string.h>

#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"
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

struct each {
    const char *after;
    int (*fn)(const char *name, const struct rec_repo *r, void *arg, struct err *err);
    void *arg;
};

static int
visit(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each *e = arg;
    char name[RECORD_REPOSITORY_MAX + 1];
    struct rec_repo r;

    if (key.n >= sizeof name) {
        err_set(err, ERR_CORRUPT, "a key of table repo is too long");
        return tbl_skip(err);
    }
    memcpy(name, key.p, key.n);
    name[key.n] = '\0';
    if (strcmp(name, e->after) == 0)
        return 0;
    if (rec_repo_decode(&r, val, err) != 0)
        return tbl_skip(err);
    return e->fn(name, &r, e->arg, err);
}

int
tbl_repo_each(struct txn *t, const char *after,
              int (*fn)(const char *name, const struct rec_repo *r, void *arg, struct err *err),
              void *arg, struct err *err)
{
    /* No name is longer, so what sorts behind the start of `after` sorts behind all of it. */
    char start[RECORD_REPOSITORY_MAX + 1];
    struct each e = {start, fn, arg};

    snprintf(start, sizeof start, "%s", after);
    return kv_range_each(t, TABLE_REPO, &(struct kv_range){.from = bytes_str(start)}, visit, &e,
                         err);
}
