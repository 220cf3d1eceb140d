#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl.h"

static struct key
pull_key(uint64_t repo, const char *name)
{
    struct key k = {.n = 0};

    key_u64(&k, repo);
    key_text(&k, name);
    return k;
}

int
tbl_pull_get(struct txn *t, uint64_t repo, const char *name, struct rec_pull *r, struct err *err)
{
    return tbl_get(t, &record_pull, pull_key(repo, name), r, err);
}

int
tbl_pull_get_for_update(struct txn *t, uint64_t repo, const char *name, struct rec_pull *r,
                        struct err *err)
{
    return tbl_get_for_update(t, &record_pull, pull_key(repo, name), r, err);
}

int
tbl_pull_put(struct txn *t, uint64_t repo, const char *name, const struct rec_pull *r,
             struct err *err)
{
    return tbl_put(t, &record_pull, pull_key(repo, name), r, err);
}

int
tbl_pull_drop(struct txn *t, uint64_t repo, const char *name, struct err *err)
{
    return tbl_drop(t, &record_pull, pull_key(repo, name), err);
}
