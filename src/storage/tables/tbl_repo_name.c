#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl.h"

static struct key
repo_name_key(uint64_t id)
{
    struct key k = {.n = 0};

    key_u64(&k, id);
    return k;
}

int
tbl_repo_name_get(struct txn *t, uint64_t id, struct rec_repo_name *r, struct err *err)
{
    return tbl_get(t, &record_repo_name, repo_name_key(id), r, err);
}

int
tbl_repo_name_put(struct txn *t, uint64_t id, const char *name, struct err *err)
{
    struct rec_repo_name r;

    snprintf(r.name, sizeof r.name, "%s", name);
    return tbl_put(t, &record_repo_name, repo_name_key(id), &r, err);
}

int
tbl_repo_name_drop(struct txn *t, uint64_t id, struct err *err)
{
    return tbl_drop(t, &record_repo_name, repo_name_key(id), err);
}
