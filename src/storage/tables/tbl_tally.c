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

int
tbl_tally_put(struct txn *t, const struct tally *tally, uint64_t n, struct err *err)
{
    struct rec_number r = {n};

    if (n == 0)
        return tbl_drop(t, &record_tally, tally_key(tally), err);
    return tbl_put(t, &record_tally, tally_key(tally), &r, err);
}
