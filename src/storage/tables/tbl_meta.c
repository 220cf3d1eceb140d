#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl.h"

int
tbl_meta_get(struct txn *t, const char *name, uint64_t *value, struct err *err)
{
    struct rec_number r = {0};
    int rc = tbl_get(t, &record_meta, key_of_text(name), &r, err);

    if (rc == 1)
        *value = r.value;
    return rc;
}

void
tbl_meta_expect(struct txn *t, const char *name)
{
    tbl_expect(t, &record_meta, key_of_text(name));
}

int
tbl_meta_put(struct txn *t, const char *name, uint64_t value, struct err *err)
{
    struct rec_number r = {value};

    return tbl_put(t, &record_meta, key_of_text(name), &r, err);
}

int
tbl_meta_drop(struct txn *t, const char *name, struct err *err)
{
    const struct key key = key_of_text(name);

    return kv_drop(t, TABLE_META, key_of(&key), err);
}

int
tbl_meta_take_next(struct txn *t, const char *name, uint64_t *value, struct err *err)
{
    struct rec_number r = {1};

    if (tbl_get_for_update(t, &record_meta, key_of_text(name), &r, err) < 0)
        return -1;
    *value = r.value;
    return tbl_meta_put(t, name, r.value + 1, err);
}
