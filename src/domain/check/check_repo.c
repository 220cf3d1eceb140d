#include "domain/check/check_repo.h"
#include "storage/tables/tbl_entry.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_repo_name.h"

int
check_repo_has_name(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_repo_name r;
    int rc = c->has_names ? tbl_repo_name_get(t, e->r.repo.id, &r, err) : -2;

    if (rc < 0)
        return rc == -2 ? 1 : -1;
    if (rc == 1 && strcmp(r.name, e->text) == 0)
        return 1;
    return check_fails(c, "no name leads from its number %llu to it",
                       (unsigned long long)e->r.repo.id);
}

int
check_repo_put_name(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    (void)c;
    return tbl_repo_name_put(t, e->r.repo.id, e->text, err);
}

int
check_repo_id_is_taken(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    uint64_t next;
    int rc = tbl_meta_get(t, META_NEXT_REPO, &next, err);

    if (rc < 0 || (rc == 1 && next > e->r.repo.id))
        return rc;
    return check_fails(c, "its number %llu would be given to another repository",
                       (unsigned long long)e->r.repo.id);
}

int
check_repo_take_id(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    (void)c;
    return tbl_meta_put(t, META_NEXT_REPO, e->r.repo.id + 1, err);
}

int
check_repo_of_name(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_repo r;
    int rc = tbl_repo_get(t, e->r.repo_name.name, &r, err);

    if (rc < 0 || (rc == 1 && r.id == e->repo))
        return rc;
    return check_fails(c, "there is no such repository with the number %llu",
                       (unsigned long long)e->repo);
}

int
check_repo_of_entry(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct rec_repo_name r;
    int rc = c->has_names ? tbl_repo_name_get(t, e->repo, &r, err) : 1;

    return rc == 0 ? check_fails(c, "its repository is missing") : rc;
}

int
check_repo_drop_entry(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    (void)c;
    return tbl_entry_drop(t, e->table, e->key, err);
}
