#include "domain/core/quota.h"
#include "domain/access/access_name.h"
#include "domain/name_pattern.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_quota.h"
#include "storage/tables/tbl_repo_name.h"
#include "util/parse.h"
#include "util/size_text.h"

/* Marks that are removed at once. */
#define BATCH 100

/* ---- which ---- */

int
quota_parse(const char *text, char pattern[RECORD_REPOSITORY_MAX + 1], uint64_t *limit,
            struct err *err)
{
    size_t n = strcspn(text, " \t"), blanks = strspn(text + n, " \t");
    struct access_pattern compiled;

    if (n == 0 || n > RECORD_REPOSITORY_MAX || blanks == 0 ||
        !parse_size(text + n + blanks, limit) || *limit == 0)
        return err_set(err, ERR_BAD_REQUEST,
                       "must be a pattern of repositories and a size, such as 'team/** 200G'");
    snprintf(pattern, RECORD_REPOSITORY_MAX + 1, "%.*s", (int)n, text);
    if (access_pattern_compile(&compiled, bytes_str(pattern), err) != 0)
        return -1;
    if (compiled.has_user)
        return err_set(err, ERR_BAD_REQUEST, "a quota has no {user}: its pattern is of names only");
    if (!name_pattern_fits_repository(bytes_str(pattern)))
        return err_set(err, ERR_BAD_REQUEST, "%s: " NAME_PATTERN_REPOSITORY, pattern);
    return 0;
}

static int
add_loaded_quota(const struct digest *key, const struct rec_quota *r, void *arg, struct err *err)
{
    struct quotas *q = arg;
    struct quota *new = &q->v[q->n];

    if (q->n == QUOTA_MAX || access_pattern_compile(&new->pattern, bytes_str(r->pattern), err) != 0)
        return q->n == QUOTA_MAX ? 1 : -1;
    new->key = *key;
    memcpy(new->text, r->pattern, sizeof new->text);
    q->n++;
    return 0;
}

int
quota_load(struct kv *kv, struct quotas *out, struct err *err)
{
    out->n = 0;
    return tbl_quota_each(kv_reads(kv), add_loaded_quota, out, err);
}

uint64_t
quota_set_of(const struct registry *reg, const char *repository)
{
    const struct quotas *q = reg->quotas;
    struct access_name name;
    uint64_t set = 0;

    if (q == NULL || q->n == 0 || !access_name_set(&name, repository))
        return 0;
    for (size_t i = 0; i < q->n; i++)
        if (access_pattern_match(q->v[i].pattern.v, q->v[i].pattern.n, &name, bytes_str("")))
            set |= UINT64_C(1) << i;
    return set;
}

int
quota_set_of_id(struct txn *t, const struct registry *reg, uint64_t repo, uint64_t *set,
                struct err *err)
{
    struct rec_repo_name r;
    int rc = 0;

    *set = 0;
    if (reg->quotas != NULL && reg->quotas->n > 0)
        rc = tbl_repo_name_get(t, repo, &r, err);
    if (rc == 1)
        *set = quota_set_of(reg, r.name);
    return rc < 0 ? -1 : 0;
}

static bool
is_in_set(uint64_t set, size_t i)
{
    return (set >> i & 1) != 0;
}

/* ---- the limit ---- */

static int
check_limit(const struct rec_quota *r, uint64_t more, struct err *err)
{
    unsigned long long limit = r->limit, used = r->used, needed = more;
    char text[3][SIZE_TEXT_MAX];

    if (more <= r->limit && r->used <= r->limit - more)
        return 0;
    size_text(text[0], limit);
    size_text(text[1], used);
    size_text(text[2], needed);
    err_set(err, ERR_FULL,
            "the quota of %s is %s, %s are used, and this needs %s more: delete manifests (a tag "
            "alone frees nothing), or have it raised",
            r->pattern, text[0], text[1], text[2]);
    err_expected(err, "at most %llu bytes more", used < limit ? limit - used : 0);
    return err_found(err, "%llu bytes more", needed);
}

int
quota_check_room(const struct registry *reg, const char *repository, uint64_t bytes,
                 struct err *err)
{
    uint64_t set = quota_set_of(reg, repository);
    struct rec_quota r;

    for (size_t i = 0; set >> i != 0 && i < reg->quotas->n; i++) {
        int rc = is_in_set(set, i)
                     ? tbl_quota_get(kv_reads(reg->kv), &reg->quotas->v[i].key, &r, err)
                     : 0;

        /* Whatever is pushed has a byte. */
        if (rc < 0 || (rc == 1 && check_limit(&r, bytes > 0 ? bytes : 1, err) != 0))
            return -1;
    }
    return 0;
}

/* ---- counting ---- */

void
quota_expect(struct txn *t, const struct registry *reg, uint64_t set, uint64_t repo,
             const struct digest *d)
{
    struct edge mark = {.to = *d, .kind = EDGE_COUNTED, .repo = repo};

    for (size_t i = 0; set != 0 && i < reg->quotas->n; i++) {
        mark.from = reg->quotas->v[i].key;
        if (is_in_set(set, i))
            tbl_edge_expect(t, &mark);
    }
}

int
quota_count(struct txn *t, const struct registry *reg, struct quota_change *change, uint64_t repo,
            const struct digest *d, uint64_t size, struct err *err)
{
    struct edge mark = {.to = *d, .kind = EDGE_COUNTED, .repo = repo};

    for (size_t i = 0; change->set != 0 && i < reg->quotas->n; i++) {
        int rc;

        if (!is_in_set(change->set, i))
            continue;
        mark.from = reg->quotas->v[i].key;
        rc = tbl_edge_has(t, &mark, err);
        if (rc < 0 || (rc == 0 && tbl_edge_put(t, &mark, err) != 0))
            return -1;
        change->add[i] += rc == 0 ? size : 0;
    }
    return 0;
}

int
quota_count_blob(struct txn *t, const struct registry *reg, struct quota_change *change,
                 uint64_t repo, const struct digest *d, struct err *err)
{
    struct rec_blob r;
    int rc = change->set != 0 ? tbl_blob_get(t, d, &r, err) : 0;

    return rc == 1 ? quota_count(t, reg, change, repo, d, r.size, err) : rc;
}

int
quota_settle(struct txn *t, const struct registry *reg, const struct quota_change *change,
             bool force, struct err *err)
{
    struct rec_quota r;

    for (size_t i = 0; change->set != 0 && i < reg->quotas->n; i++) {
        const struct digest *key = &reg->quotas->v[i].key;
        int rc = change->add[i] > 0 ? tbl_quota_get_for_update(t, key, &r, err) : 0;

        if (rc < 0 || (rc == 1 && !force && check_limit(&r, change->add[i], err) != 0))
            return -1;
        if (rc == 0)
            continue;
        r.used += change->add[i];
        if (tbl_quota_put(t, key, &r, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- and no longer ---- */

struct counted_marks {
    struct edge v[BATCH];
    size_t n;
};

static int
add_counted_mark(const struct edge *e, void *arg, struct err *err)
{
    struct counted_marks *m = arg;

    (void)err;
    m->v[m->n++] = *e;
    return m->n == BATCH;
}

static int
subtract_from_quota(struct txn *t, const struct digest *key, uint64_t size, struct err *err)
{
    struct rec_quota r;
    int rc = tbl_quota_get_for_update(t, key, &r, err);

    if (rc != 1) /* a mark of a former quota */
        return rc;
    r.used -= size < r.used ? size : r.used;
    return tbl_quota_put(t, key, &r, err);
}

int
quota_discount(struct txn *t, uint64_t repo, const struct digest *d, uint64_t size, struct err *err)
{
    struct counted_marks m = {.n = BATCH};

    while (m.n == BATCH) {
        m.n = 0;
        if (tbl_edge_each(t, d, EDGE_COUNTED, repo, NULL, add_counted_mark, &m, err) != 0)
            return -1;
        for (size_t i = 0; i < m.n; i++)
            if (tbl_edge_drop(t, &m.v[i], err) != 0)
                return -1;
        for (size_t i = 0; i < m.n; i++)
            if (subtract_from_quota(t, &m.v[i].from, size, err) != 0)
                return -1;
    }
    return 0;
}

static int
note_any_keeper(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

int
quota_discount_blob(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    struct rec_blob r;
    bool is_needed = false;
    int rc = tbl_edge_any(t, d, EDGE_COUNTED, err);

    if (rc != 1)
        return rc;
    if (tbl_edge_each(t, d, EDGE_PART, repo, NULL, note_any_keeper, &is_needed, err) != 0 ||
        tbl_edge_each(t, d, EDGE_CHILD, repo, NULL, note_any_keeper, &is_needed, err) != 0)
        return -1;
    rc = is_needed ? 0 : tbl_blob_get(t, d, &r, err);
    return rc == 1 ? quota_discount(t, repo, d, r.size, err) : rc;
}

/* ---- for lists ---- */

int
quota_each(const struct registry *reg, const char *repository,
           void (*fn)(const struct rec_quota *r, void *arg), void *arg, struct err *err)
{
    uint64_t set = repository != NULL ? quota_set_of(reg, repository) : UINT64_MAX;
    struct rec_quota r;

    for (size_t i = 0; reg->quotas != NULL && i < reg->quotas->n; i++) {
        int rc = is_in_set(set, i)
                     ? tbl_quota_get(kv_reads(reg->kv), &reg->quotas->v[i].key, &r, err)
                     : 0;

        if (rc < 0)
            return -1;
        if (rc == 1)
            fn(&r, arg);
    }
    return 0;
}
