#include "storage/tables/tbl.h"
#include "storage/kv/kv_range.h"
#include "util/log.h"

static int
fetch_record(struct txn *t, const struct record *record, const struct key *key, bool for_update,
             void *r, struct err *err)
{
    enum table table = record_table(record);
    struct buf val;
    int rc;

    buf_init(&val, RECORD_MAX);
    rc = for_update ? kv_get_for_update(t, table, key_of(key), &val, err)
                    : kv_get(t, table, key_of(key), r != NULL ? &val : NULL, err);
    if (rc == 1 && r != NULL && record_decode(record, r, buf_bytes(&val), err) != 0)
        rc = -1;
    buf_free(&val);
    return rc;
}

int
tbl_get(struct txn *t, const struct record *record, struct key key, void *r, struct err *err)
{
    return fetch_record(t, record, &key, false, r, err);
}

int
tbl_get_for_update(struct txn *t, const struct record *record, struct key key, void *r,
                   struct err *err)
{
    return fetch_record(t, record, &key, true, r, err);
}

void
tbl_expect(struct txn *t, const struct record *record, struct key key)
{
    kv_expect(t, record_table(record), key_of(&key));
}

void
tbl_expect_for_update(struct txn *t, const struct record *record, struct key key)
{
    kv_expect_for_update(t, record_table(record), key_of(&key));
}

/* key: NULL for a queue. */
static int
store_record(struct txn *t, const struct record *record, const struct key *key, const void *r,
             struct err *err)
{
    enum table table = record_table(record);
    struct buf val;
    int rc;

    buf_init(&val, RECORD_MAX);
    record_encode(&val, record, r);
    if (!buf_ok(&val))
        rc = err_set(err, ERR_SYSTEM, "a record of table %s is too long", tables[table].name);
    else if (key != NULL)
        rc = kv_put(t, table, key_of(key), buf_bytes(&val), err);
    else
        rc = kv_append(t, table, buf_bytes(&val), err);
    buf_free(&val);
    return rc;
}

int
tbl_put(struct txn *t, const struct record *record, struct key key, const void *r, struct err *err)
{
    return store_record(t, record, &key, r, err);
}

int
tbl_append(struct txn *t, const struct record *record, const void *r, struct err *err)
{
    return store_record(t, record, NULL, r, err);
}

int
tbl_delete(struct txn *t, const struct record *record, struct key key, struct err *err)
{
    return kv_delete(t, record_table(record), key_of(&key), err);
}

int
tbl_drop(struct txn *t, const struct record *record, struct key key, struct err *err)
{
    return kv_drop(t, record_table(record), key_of(&key), err);
}

struct each_record {
    const struct record *record;
    tbl_visit_fn *fn;
    void *arg;
};

static int
visit_record(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    const struct each_record *each = arg;
    struct unpack u = unpack_of(key);
    union record_any r;
    int rc = TBL_BAD_KEY;

    if (record_decode(each->record, &r, val, err) == 0) {
        rc = each->fn(&u, &r, each->arg, err);
        if (rc != TBL_BAD_KEY)
            return rc;
        err_set(err, ERR_CORRUPT, "a key of table %s can't be read",
                tables[record_table(each->record)].name);
    }
    log_client_line(LOG_ERROR, "a record is passed over", "why=%s", err->message);
    return 0;
}

int
tbl_each(struct txn *t, const struct record *record, const struct kv_range *range, tbl_visit_fn *fn,
         void *arg, struct err *err)
{
    struct each_record each = {record, fn, arg};

    return kv_range_each(t, record_table(record), range, visit_record, &each, err);
}
