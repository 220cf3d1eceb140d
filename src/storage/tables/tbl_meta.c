#include "storage/tables/tbl_meta.h"

#include "storage/tables/key.h"
#include "storage/tables/record.h"
#include "storage/tables/tables.h"
#include "util/banned.h"

static int
load(struct txn *t, const char *name, bool for_update, uint64_t *value, struct err *err)
{
    struct buf val;
    struct bytes key = bytes_str(name);
    int rc;

    buf_init(&val, 64);
    rc = for_update ? kv_get_for_update(t, TABLE_META, key, &val, err)
                    : kv_get(t, TABLE_META, key, &val, err);
    if (rc == 1) {
        struct rec_reader r = rec_reader_of(buf_bytes(&val));

        *value = rec_take_u64(&r);
        if (r.bad || r.n != 0)
            rc = err_set(err, ERR_CORRUPT, "the record %s of table meta can't be read", name);
    }
    buf_free(&val);
    return rc;
}

int
tbl_meta_get(struct txn *t, const char *name, uint64_t *value, struct err *err)
{
    return load(t, name, false, value, err);
}

int
tbl_meta_put(struct txn *t, const char *name, uint64_t value, struct err *err)
{
    struct key val = {.n = 0};

    key_u64(&val, value);
    return kv_put(t, TABLE_META, bytes_str(name), key_of(&val), err);
}

int
tbl_meta_take_next(struct txn *t, const char *name, uint64_t *value, struct err *err)
{
    int rc = load(t, name, true, value, err);

    if (rc < 0)
        return -1;
    if (rc == 0)
        *value = 1;
    return tbl_meta_put(t, name, *value + 1, err);
}
