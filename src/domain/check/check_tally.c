#include "domain/check/check_tally.h"
#include "storage/tables/tbl_repo.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_upload.h"

/* Most things that are counted in one transaction, because of its locks. A tally of more is judged
 * and corrected only when nobody else uses the store. */
#define COUNT_MAX 200000

static struct tally
tally_of(const struct check_entry *e)
{
    switch (e->table) {
    case TABLE_REPO:
        return (struct tally){.kind = TALLY_REPOSITORIES};
    case TABLE_TAG:
        return (struct tally){.kind = TALLY_TAGS, .repo = e->repo};
    case TABLE_UPLOAD:
        return (struct tally){.kind = TALLY_UPLOADS, .owner = e->r.upload.user};
    default:
        return e->tally;
    }
}

struct recount {
    const struct tally *tally;
    uint64_t n, seen, max;
};

static int
recount_one(struct recount *r, bool counts)
{
    r->n += counts;
    return ++r->seen > r->max;
}

static int
recount_repo(const char *name, const struct rec_repo *repo, void *arg, struct err *err)
{
    (void)name;
    (void)err;
    return recount_one(arg, !repo->emptied);
}

static int
recount_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)tag;
    (void)r;
    (void)err;
    return recount_one(arg, true);
}

static int
recount_upload(const char *id, const struct rec_upload *r, void *arg, struct err *err)
{
    struct recount *count = arg;

    (void)id;
    (void)err;
    return recount_one(count, strcmp(r->user, count->tally->owner) == 0);
}

/* 1; 0: there are too many for this transaction; -1. */
static int
recount(struct check *c, struct txn *t, const struct tally *tally, uint64_t *n, struct err *err)
{
    bool is_free = c->alone || t == kv_reads(c->reg->kv);
    struct recount r = {.tally = tally, .max = is_free ? UINT64_MAX : COUNT_MAX};
    int rc = -1;

    switch (tally->kind) {
    case TALLY_REPOSITORIES:
        rc = tbl_repo_each(t, "", recount_repo, &r, err);
        break;
    case TALLY_TAGS:
        rc = tbl_tag_each(t, tally->repo, "", recount_tag, &r, err);
        break;
    case TALLY_UPLOADS:
        rc = tbl_upload_each(t, recount_upload, &r, err);
        break;
    }
    *n = r.n;
    return rc != 0 ? -1 : r.seen <= r.max;
}

int
check_tally_is_right(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct tally tally = tally_of(e);
    uint64_t n;
    int rc = recount(c, t, &tally, &n, err);

    if (rc != 1 || n == e->r.number.value)
        return rc < 0 ? -1 : 1;
    return check_fails(c, "it is %llu, and there are %llu", (unsigned long long)e->r.number.value,
                       (unsigned long long)n);
}

int
check_tally_correct(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct tally tally = tally_of(e);
    uint64_t n;
    int rc = recount(c, t, &tally, &n, err);

    if (rc == 0)
        return err_set(err, ERR_BUSY, "%s has too many tags to count them beside a server",
                       e->text);
    return rc < 0 ? -1 : tbl_tally_put(t, &tally, n, err);
}

static int
has_tally(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct tally tally = tally_of(e);
    uint64_t n;
    int rc = tbl_tally_get(t, &tally, &n, err);

    return rc == 0 ? check_fails(c, "it isn't counted") : rc;
}

int
check_tally_has_repo(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    return e->r.repo.emptied ? 1 : has_tally(c, t, e, err);
}

int
check_tally_has_tag(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    return has_tally(c, t, e, err);
}

int
check_tally_has_upload(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    return has_tally(c, t, e, err);
}
