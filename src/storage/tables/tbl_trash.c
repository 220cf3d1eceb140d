#include "storage/tables/tbl_trash.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl.h"

static struct key
trash_key(uint64_t repo, const struct digest *d)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    if (d != NULL)
        key_digest(&k, d);
    return k;
}

int
tbl_trash_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_trash *r,
              struct err *err)
{
    return tbl_get(t, &record_trash, trash_key(repo, d), r, err);
}

int
tbl_trash_get_for_update(struct txn *t, uint64_t repo, const struct digest *d, struct rec_trash *r,
                         struct err *err)
{
    return tbl_get_for_update(t, &record_trash, trash_key(repo, d), r, err);
}

int
tbl_trash_put(struct txn *t, uint64_t repo, const struct digest *d, const struct rec_trash *r,
              struct err *err)
{
    return tbl_put(t, &record_trash, trash_key(repo, d), r, err);
}

int
tbl_trash_drop(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    return tbl_drop(t, &record_trash, trash_key(repo, d), err);
}

struct trash_visit {
    int (*fn)(const struct digest *d, const struct rec_trash *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_trash(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct trash_visit *v = arg;
    struct digest d;

    unpack_u64(key);
    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(&d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_trash_each(struct txn *t, uint64_t repo, const struct digest *after,
               int (*fn)(const struct digest *d, const struct rec_trash *r, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    struct trash_visit v = {fn, arg};
    struct key all = trash_key(repo, NULL), from = all;

    if (after->algo != DIGEST_NONE)
        key_digest(&from, after);
    return tbl_each(t, &record_trash,
                    &(struct kv_range){.prefix = key_of(&all),
                                       .from = key_of(&from),
                                       .behind = after->algo != DIGEST_NONE},
                    visit_trash, &v, err);
}

struct trash_scan {
    int (*fn)(uint64_t repo, const struct digest *d, const struct rec_trash *r, void *arg,
              struct err *err);
    void *arg;
};

static int
scan_trash(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct trash_scan *v = arg;
    uint64_t repo = unpack_u64(key);
    struct digest d;

    unpack_digest(key, &d);
    return unpack_done(key) ? v->fn(repo, &d, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_trash_scan(struct txn *t, uint64_t repo, const struct digest *after,
               int (*fn)(uint64_t repo, const struct digest *d, const struct rec_trash *r,
                         void *arg, struct err *err),
               void *arg, struct err *err)
{
    struct trash_scan v = {fn, arg};
    struct key k = trash_key(repo, after->algo != DIGEST_NONE ? after : NULL);

    return tbl_each(t, &record_trash, &(struct kv_range){.from = key_of(&k), .behind = true},
                    scan_trash, &v, err);
}

static int
take_trash_digest(struct unpack *key, const void *r, void *arg, struct err *err)
{
    struct digest d;

    (void)r;
    (void)err;
    unpack_u64(key);
    unpack_digest(key, &d);
    if (!unpack_done(key))
        return TBL_BAD_KEY;
    *(struct digest *)arg = d;
    return 1;
}

int
tbl_trash_first(struct txn *t, uint64_t repo, struct digest *d, struct err *err)
{
    struct key k = trash_key(repo, NULL);

    d->algo = DIGEST_NONE;
    if (tbl_each(t, &record_trash, &(struct kv_range){.prefix = key_of(&k)}, take_trash_digest, d,
                 err) != 0)
        return -1;
    return d->algo != DIGEST_NONE;
}
