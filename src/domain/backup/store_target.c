#include "domain/backup/store_target.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_meta.h"

static int
claim_target(struct txn *t, void *arg, struct err *err)
{
    const uint64_t *number = arg;
    uint64_t format, copying;
    int has_mark = tbl_meta_get(t, META_COPYING, &copying, err);
    int has_store = has_mark < 0 ? -1 : tbl_meta_get(t, META_FORMAT, &format, err);

    if (has_store < 0)
        return -1;
    if (has_mark == 1 && copying == *number)
        return 0;
    if (has_mark == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "that database has the unfinished copy of something else: drop its tables, "
                       "or name an empty database");
    if (has_store == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "that database has a registry already: name an empty database");
    return tbl_meta_put(t, META_COPYING, *number, err);
}

struct kv *
store_target_open(const char *address, uint64_t number, struct err *err)
{
    struct kv *kv;

    if (kv_recover(address, tables, TABLE_COUNT, err) < 0)
        return NULL;
    kv = kv_open(address, tables, TABLE_COUNT, NULL, NULL, err);
    if (kv == NULL || txn_run(kv, claim_target, &number, err) == 0)
        return kv;
    kv_close(kv);
    return NULL;
}

static int
remove_mark(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_meta_drop(t, META_COPYING, err);
}

int
store_target_finish(struct kv *kv, struct err *err)
{
    return txn_run(kv, remove_mark, NULL, err) == 0 ? kv_flush(kv, err) : -1;
}
