#include "domain/backup/store_target.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_meta.h"

struct target_claim {
    uint64_t number;
    bool is_old;
};

static int
claim_target(struct txn *t, void *arg, struct err *err)
{
    const struct target_claim *c = arg;
    uint64_t format, copying, owner = 0;
    int has_mark = tbl_meta_get(t, META_COPYING, &copying, err);
    int has_store = has_mark < 0 ? -1 : tbl_meta_get(t, META_FORMAT, &format, err);

    if (has_store < 0 || tbl_meta_get(t, META_BLOBS_ID, &owner, err) < 0 ||
        (owner == 0 && tbl_meta_get(t, META_BLOBS_WANTED, &owner, err) < 0))
        return -1;
    if (has_mark == 1 && copying == c->number)
        return 0;
    if (has_mark == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "that database has the unfinished copy of something else (its number is "
                       "%016llx): drop its tables, or name an empty database",
                       (unsigned long long)copying);
    if (has_store == 1 && (!c->is_old || owner != c->number))
        return err_set(err, ERR_UNSUPPORTED,
                       "that database has a registry already (its registry-id is %016llx): name "
                       "an empty database",
                       (unsigned long long)owner);
    return tbl_meta_put(t, META_COPYING, c->number, err);
}

struct kv *
store_target_open(const char *address, uint64_t number, bool is_old, struct err *err)
{
    struct target_claim c = {number, is_old};
    struct kv *kv;

    if (kv_recover(address, tables, TABLE_COUNT, err) < 0)
        return NULL;
    kv = kv_open(address, tables, TABLE_COUNT, NULL, NULL, err);
    if (kv == NULL || txn_run(kv, claim_target, &c, err) == 0)
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
store_target_is_marked(struct kv *kv, struct err *err)
{
    uint64_t copying;

    return tbl_meta_get(kv_reads(kv), META_COPYING, &copying, err);
}

static int
note_old_copy(struct txn *t, void *arg, struct err *err)
{
    const uint64_t *number = arg;

    return tbl_meta_put(t, META_COPYING, *number, err);
}

int
store_target_mark(struct kv *kv, uint64_t number, struct err *err)
{
    return txn_run(kv, note_old_copy, &number, err) == 0 ? kv_flush(kv, err) : -1;
}

int
store_target_finish(struct kv *kv, struct err *err)
{
    return txn_run(kv, remove_mark, NULL, err) == 0 ? kv_flush(kv, err) : -1;
}
