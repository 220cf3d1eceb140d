#include "domain/check/check_quota.h"
#include "domain/check/check_manifests.h"
#include "domain/core/quota.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_damage.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_quota.h"
#include "util/buf.h"
#include "util/mem.h"

#define BATCH 256
#define KEY_MAX 1024

/* ---- marks of a manifest ---- */

struct quota_marks {
    struct quota_change change;
    bool lacks;
};

static int
look_for_mark(struct check *c, struct txn *t, uint64_t repo, const struct digest *d,
              struct quota_marks *m, struct err *err)
{
    struct edge mark = {.to = *d, .kind = EDGE_COUNTED, .repo = repo};
    char text[DIGEST_TEXT_MAX];

    for (size_t i = 0; i < c->reg->quotas->n && !m->lacks; i++) {
        int rc;

        if ((m->change.set >> i & 1) == 0)
            continue;
        mark.from = c->reg->quotas->v[i].key;
        rc = tbl_edge_has(t, &mark, err);
        if (rc < 0)
            return -1;
        digest_text(text, d);
        m->lacks = rc == 0;
        if (m->lacks)
            check_fails(c, "the quota of %s doesn't count %s", c->reg->quotas->v[i].text, text);
    }
    return 0;
}

/* A blob counts for a repository that may serve it. 1, 0, -1. */
static int
is_to_be_counted(struct txn *t, const struct edge *member, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(t, &member->to, &r, err);

    return rc == 1 ? tbl_edge_has(t, member, err) : rc;
}

static int
look_for_part_mark(struct check *c, struct txn *t, const struct edge *member, void *arg,
                   struct err *err)
{
    struct quota_marks *m = arg;
    int rc = is_to_be_counted(t, member, err);

    if (rc == 1)
        rc = look_for_mark(c, t, member->repo, &member->to, m, err);
    return rc < 0 ? -1 : m->lacks;
}

/* The quotas of its repository; a count that was interrupted begins anew with the next start. */
static int
find_quotas(struct check *c, struct txn *t, const struct check_entry *e, uint64_t *set,
            struct err *err)
{
    struct rec_quota r;
    const struct quotas *q = c->reg->quotas;

    if (quota_set_of_id(t, c->reg, e->repo, set, err) != 0)
        return -1;
    for (size_t i = 0; *set != 0 && i < q->n; i++) {
        int rc = (*set >> i & 1) != 0 ? tbl_quota_get(t, &q->v[i].key, &r, err) : 1;

        if (rc < 0)
            return -1;
        if (rc == 0 || ((*set >> i & 1) != 0 && !r.counted))
            *set &= ~(UINT64_C(1) << i);
    }
    return 0;
}

int
check_quota_counts(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct quota_marks m = {.lacks = false};

    if (find_quotas(c, t, e, &m.change.set, err) != 0)
        return -1;
    if (m.change.set == 0)
        return 1;
    if (look_for_mark(c, t, e->repo, &e->digest, &m, err) != 0 ||
        (!m.lacks && check_manifest_each_part(c, t, e, look_for_part_mark, &m, err) < 0))
        return -1;
    return !m.lacks;
}

static int
count_part(struct check *c, struct txn *t, const struct edge *member, void *arg, struct err *err)
{
    struct quota_marks *m = arg;
    int rc = is_to_be_counted(t, member, err);

    if (rc == 1)
        rc = quota_count_blob(t, c->reg, &m->change, member->repo, &member->to, err);
    return rc < 0 ? -1 : 0;
}

int
check_quota_count(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    struct quota_marks m = {.lacks = false};

    if (find_quotas(c, t, e, &m.change.set, err) != 0 ||
        quota_count(t, c->reg, &m.change, e->repo, &e->digest, e->r.manifest.size, err) != 0 ||
        check_manifest_each_part(c, t, e, count_part, &m, err) < 0)
        return -1;
    return quota_settle(t, c->reg, &m.change, true, err);
}

/* ---- what a mark counts ---- */

/* 1, 0: it isn't there; -1. */
static int
find_counted_size(struct txn *t, const struct edge *mark, uint64_t *size, struct err *err)
{
    struct rec_manifest manifest;
    struct rec_damage damage;
    struct rec_blob blob;
    int rc = tbl_manifest_get(t, mark->repo, &mark->to, &manifest, err);

    *size = rc == 1 ? manifest.size : 0;
    if (rc == 0 && (rc = tbl_blob_get(t, &mark->to, &blob, err)) == 1)
        *size = blob.size;
    if (rc == 0 && (rc = tbl_damage_get(t, &mark->to, &damage, err)) == 1)
        *size = damage.size;
    return rc;
}

static size_t
find_quota(const struct check *c, const struct digest *key)
{
    const struct quotas *q = c->reg->quotas;
    size_t i = 0;

    while (q != NULL && i < q->n && !digest_equal(&q->v[i].key, key))
        i++;
    return q != NULL && i < q->n ? i : QUOTA_MAX;
}

/* Marks of former quotas go with what they mark. */
int
check_quota_has_counted(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err)
{
    uint64_t size;
    int rc =
        find_quota(c, &e->edge.from) == QUOTA_MAX ? 1 : find_counted_size(t, &e->edge, &size, err);

    return rc == 0 ? check_fails(c, "neither a manifest nor a blob has that digest") : rc;
}

/* ---- sums ---- */

struct mark_batch {
    struct edge v[BATCH];
    size_t n;
    struct buf behind; /* the last key that was looked at */
    bool at_end;
};

static int
add_mark(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct mark_batch *b = arg;
    struct unpack u = unpack_of(key);
    char tag[RECORD_REPOSITORY_MAX + 1];
    struct edge e;

    (void)val;
    (void)err;
    tbl_edge_take(&u, &e, tag);
    buf_reset(&b->behind);
    buf_put(&b->behind, key.p, key.n);
    if (unpack_done(&u) && e.kind == EDGE_COUNTED)
        b->v[b->n++] = e;
    b->at_end = b->n < BATCH;
    return !b->at_end;
}

static int
add_marked_sizes(struct check *c, struct mark_batch *b, uint64_t sums[QUOTA_MAX], struct err *err)
{
    for (size_t i = 0; i < b->n; i++) {
        size_t at = find_quota(c, &b->v[i].from);
        uint64_t size = 0;

        if (at < QUOTA_MAX && find_counted_size(kv_reads(c->reg->kv), &b->v[i], &size, err) < 0)
            return -1;
        if (at < QUOTA_MAX)
            sums[at] += size;
    }
    return check_tick(c, err);
}

static int
sum_all_marks(struct check *c, uint64_t sums[QUOTA_MAX], struct err *err)
{
    struct mark_batch *b = mem_alloc(sizeof *b);
    int rc = 0;

    memset(sums, 0, QUOTA_MAX * sizeof *sums);
    buf_init(&b->behind, KEY_MAX);
    b->at_end = false;
    while (rc == 0 && !b->at_end) {
        struct buf from = b->behind;
        struct kv_range range = {.from = buf_bytes(&from), .behind = from.n > 0};

        b->n = 0;
        b->at_end = true;
        buf_init(&b->behind, KEY_MAX);
        rc = kv_range_each(kv_reads(c->reg->kv), TABLE_EDGE, &range, add_mark, b, err);
        buf_free(&from);
        if (rc == 0)
            rc = add_marked_sizes(c, b, sums, err);
    }
    buf_free(&b->behind);
    free(b);
    return rc;
}

int
check_quota_is_right(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    uint64_t sums[QUOTA_MAX];
    struct rec_quota now;
    size_t at = find_quota(c, &e->digest);
    int rc;

    if (at == QUOTA_MAX || !e->r.quota.counted)
        return 1;
    if (sum_all_marks(c, sums, err) != 0)
        return -1;
    rc = tbl_quota_get(t, &e->digest, &now, err);
    if (rc != 1 || now.used != e->r.quota.used || now.used == sums[at])
        return rc < 0 ? -1 : 1;
    c->quota_error = sums[at] - now.used;
    return check_fails(c, "%s: %llu bytes are noted as used, and there are %llu", now.pattern,
                       (unsigned long long)now.used, (unsigned long long)sums[at]);
}

static int
correct_quota(struct txn *t, void *arg, struct err *err)
{
    const struct check_entry *e = ((void **)arg)[0];
    const struct check *c = ((void **)arg)[1];
    struct rec_quota r;
    int rc = tbl_quota_get_for_update(t, &e->digest, &r, err);

    r.used += rc == 1 ? c->quota_error : 0;
    return rc == 1 ? tbl_quota_put(t, &e->digest, &r, err) : rc;
}

int
check_quota_correct(struct check *c, struct txn *t, const struct check_entry *e, struct err *err)
{
    const void *both[] = {e, c};

    (void)t;
    return txn_run_anyway(c->reg->kv, correct_quota, both, err);
}
