#include "storage/tables/tbl.h"

#include "util/log.h"
#include "util/banned.h"

int
tbl_fetch(struct txn *t, enum table table, const struct key *k, bool for_update, size_t max,
          struct buf *val, struct err *err)
{
    buf_init(val, max);
    return for_update ? kv_get_for_update(t, table, key_of(k), val, err)
                      : kv_get(t, table, key_of(k), val, err);
}

int
tbl_store(struct txn *t, enum table table, const struct key *k, struct buf *val, struct err *err)
{
    int rc;

    if (buf_ok(val))
        rc = kv_put(t, table, key_of(k), buf_bytes(val), err);
    else
        rc = err_set(err, ERR_SYSTEM, "no memory for a record of table %s", tables[table].name);
    buf_free(val);
    return rc;
}

int
tbl_skip(const struct err *err)
{
    log_line(LOG_ERROR, "a record is passed over", "why=%s", err->message);
    return 0;
}
