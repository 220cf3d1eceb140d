#include "storage/tables/tbl_tally.h"
#include "storage/tables/tbl.h"

static struct key
tally_key(const struct tally *tally)
{
    struct key k = {.n = 0};

    key_u8(&k, (uint8_t)tally->kind);
    if (tally->kind == TALLY_TAGS)
        key_u64(&k, tally->repo);
    if (tally->kind == TALLY_UPLOADS)
        key_text(&k, tally->owner);
    return k;
}

int
tbl_tally_get(struct txn *t, const struct tally *tally, uint64_t *n, struct err *err)
{
    struct rec_number r = {0};
    int rc = tbl_get(t, &record_tally, tally_key(tally), &r, err);

    if (rc == 1)
        *n = r.value;
    return rc;
}

int
tbl_tally_get_for_update(struct txn *t, const struct tally *tally, uint64_t *n, struct err *err)
{
    struct rec_number r = {0};
    int rc = tbl_get_for_update(t, &record_tally, tally_key(tally), &r, err);

    if (rc == 1)
        *n = r.value;
    return rc;
}

struct tally_visit {
    enum tally_kind kind;
    int (*fn)(uint64_t repo, uint64_t n, void *arg, struct err *err);
    void *arg;
};

static int
visit_tally(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct tally_visit *v = arg;
    const struct rec_number *n = r;
    uint64_t repo = 0;

    unpack_u8(key);
    if (v->kind == TALLY_TAGS)
        repo = unpack_u64(key);
    return key->bad ? TBL_BAD_KEY : v->fn(repo, n->value, v->arg, err);
}

int
tbl_tally_each(struct txn *t, enum tally_kind kind, uint64_t after,
               int (*fn)(uint64_t repo, uint64_t n, void *arg, struct err *err), void *arg,
               struct err *err)
{
    const struct tally first = {.kind = TALLY_TAGS, .repo = after};
    struct tally_visit v = {kind, fn, arg};
    struct key all = {.n = 0}, from = tally_key(&first);
    struct kv_range range = {.behind = true};

    key_u8(&all, (uint8_t)kind);
    range.prefix = key_of(&all);
    if (kind == TALLY_TAGS)
        range.from = key_of(&from);
    return tbl_each(t, &record_tally, &range, visit_tally, &v, err);
}

void
tbl_tally_expect(struct txn *t, const struct tally *tally)
{
    tbl_expect(t, &record_tally, tally_key(tally));
}

void
tbl_tally_expect_each(struct txn *t, enum tally_kind kind)
{
    struct key all = {.n = 0};

    key_u8(&all, (uint8_t)kind);
    kv_expect_range(t, TABLE_TALLY, &(struct kv_range){.prefix = key_of(&all), .behind = true});
}

int
tbl_tally_put(struct txn *t, const struct tally *tally, uint64_t n, struct err *err)
{
    struct rec_number r = {n};

    if (n == 0)
        return tbl_drop(t, &record_tally, tally_key(tally), err);
    return tbl_put(t, &record_tally, tally_key(tally), &r, err);
}
