#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl.h"

int
tbl_repo_get(struct txn *t, const char *name, struct rec_repo *r, struct err *err)
{
    return tbl_get(t, &record_repo, key_of_text(name), r, err);
}

int
tbl_repo_get_for_update(struct txn *t, const char *name, struct rec_repo *r, struct err *err)
{
    return tbl_get_for_update(t, &record_repo, key_of_text(name), r, err);
}

void
tbl_repo_expect(struct txn *t, const char *name)
{
    tbl_expect(t, &record_repo, key_of_text(name));
}

void
tbl_repo_expect_for_update(struct txn *t, const char *name)
{
    tbl_expect_for_update(t, &record_repo, key_of_text(name));
}

int
tbl_repo_put(struct txn *t, const char *name, const struct rec_repo *r, struct err *err)
{
    return tbl_put(t, &record_repo, key_of_text(name), r, err);
}

int
tbl_repo_drop(struct txn *t, const char *name, struct err *err)
{
    return tbl_drop(t, &record_repo, key_of_text(name), err);
}

struct repo_visit {
    int (*fn)(const char *name, const struct rec_repo *r, void *arg, struct err *err);
    void *arg;
};

static int
visit_repo(struct unpack *key, const void *r, void *arg, struct err *err)
{
    const struct repo_visit *v = arg;
    char name[RECORD_REPOSITORY_MAX + 1];

    key_take_text(key, name, sizeof name);
    return unpack_done(key) ? v->fn(name, r, v->arg, err) : TBL_BAD_KEY;
}

int
tbl_repo_each(struct txn *t, const char *after,
              int (*fn)(const char *name, const struct rec_repo *r, void *arg, struct err *err),
              void *arg, struct err *err)
{
    /* No name is longer, so what sorts behind the start of `after` sorts behind all of it. */
    char start[RECORD_REPOSITORY_MAX + 1];
    struct repo_visit v = {fn, arg};

    snprintf(start, sizeof start, "%s", after);
    return tbl_each(t, &record_repo, &(struct kv_range){.from = bytes_str(start), .behind = true},
                    visit_repo, &v, err);
}
