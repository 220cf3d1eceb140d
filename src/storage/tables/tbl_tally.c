#include "storage/tables/tbl_tally.h"

#include "storage/tables/record.h"
#include "storage/tables/tbl.h"
#include "util/banned.h"

#define TALLY_VERSION 1

/* A page is locked as a whole until the commit. Filled up to this size only four tallies share one,
 * and counting in one repository seldom waits for another. */
#define TALLY_SIZE 200

static struct key
make_key(const struct tally *tally)
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
tbl_tally_get_for_update(struct txn *t, const struct tally *tally, uint64_t *n, struct err *err)
{
    struct key k = make_key(tally);
    struct buf val;
    int rc = tbl_fetch(t, TABLE_TALLY, &k, true, TBL_RECORD_MAX, &val, err);

    if (rc == 1) {
        struct rec_reader r = rec_reader_of(buf_bytes(&val));
        uint8_t version = rec_take_u8(&r);

        *n = rec_take_u64(&r);
        if (r.bad || version != TALLY_VERSION || val.n != TALLY_SIZE)
            rc = err_set(err, ERR_CORRUPT, "a record of table tally can't be read");
    }
    buf_free(&val);
    return rc;
}

int
tbl_tally_put(struct txn *t, const struct tally *tally, uint64_t n, struct err *err)
{
    static const char zeroes[TALLY_SIZE];
    struct key k = make_key(tally), head = {.n = 0};
    struct buf val;

    if (n == 0)
        return kv_delete(t, TABLE_TALLY, key_of(&k), err) < 0 ? -1 : 0;
    key_u8(&head, TALLY_VERSION);
    key_u64(&head, n);
    buf_init(&val, TBL_RECORD_MAX);
    buf_put(&val, head.p, head.n);
    buf_put(&val, zeroes, TALLY_SIZE - head.n);
    return tbl_store(t, TABLE_TALLY, &k, &val, err);
}
