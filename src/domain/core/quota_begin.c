#include <string.h>
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_quota.h"
#include "util/mem.h"
#include "util/random.h"

/* The quotas at the start of the server: those of the options, with what is there counted. */

/* Bytes of memory for one document. */
#define DOCUMENT_MEMORY (16u << 20)

struct wanted_quota {
    struct digest key; /* DIGEST_NONE: it is new */
    struct rec_quota r;
    bool is_stored; /* like this */
};

struct quota_plan {
    struct wanted_quota want[QUOTA_MAX];
    size_t want_n;
    struct digest drop[QUOTA_MAX]; /* of former quotas */
    size_t drop_n;
};

static int
plan_quotas(struct quota_plan *p, char *const *texts, size_t n, struct err *err)
{
    for (size_t i = 0; i < n; i++) {
        struct rec_quota r = {.used = 0};
        size_t at = 0;

        if (quota_parse(texts[i], r.pattern, &r.limit, err) != 0)
            return -1;
        while (at < p->want_n && strcmp(p->want[at].r.pattern, r.pattern) != 0)
            at++;
        if (at == p->want_n && p->want_n < QUOTA_MAX)
            p->want[p->want_n++].r = r;
        else if (at < p->want_n && r.limit < p->want[at].r.limit)
            p->want[at].r.limit = r.limit; /* of two for the same pattern, both hold */
    }
    return 0;
}

static void
begin_comparing(struct quota_plan *p)
{
    p->drop_n = 0;
    for (size_t i = 0; i < p->want_n; i++) {
        p->want[i].key.algo = DIGEST_NONE;
        p->want[i].r.used = 0;
        p->want[i].r.counted = p->want[i].is_stored = false;
    }
}

static int
compare_with_plan(const struct digest *key, const struct rec_quota *r, void *arg, struct err *err)
{
    struct quota_plan *p = arg;

    (void)err;
    for (size_t i = 0; i < p->want_n; i++) {
        struct wanted_quota *w = &p->want[i];

        if (strcmp(w->r.pattern, r->pattern) != 0 || !r->counted || w->key.algo != DIGEST_NONE)
            continue;
        w->key = *key;
        w->r.used = r->used;
        w->r.counted = true;
        w->is_stored = w->r.limit == r->limit;
        return 0;
    }
    if (p->drop_n < QUOTA_MAX)
        p->drop[p->drop_n++] = *key;
    return 0;
}

static void
give_quota_key(struct wanted_quota *w)
{
    w->key.algo = DIGEST_SHA256;
    random_bytes(w->key.bytes, digest_size(DIGEST_SHA256));
}

/* Other nodes may push meanwhile: what they count is read and written in one transaction. */
static int
write_plan(struct txn *t, void *arg, struct err *err)
{
    struct quota_plan *p = arg;

    begin_comparing(p);
    if (tbl_quota_each(t, compare_with_plan, p, err) != 0)
        return -1;
    for (size_t i = 0; i < p->drop_n; i++)
        if (tbl_quota_drop(t, &p->drop[i], err) != 0)
            return -1;
    for (size_t i = 0; i < p->want_n; i++) {
        struct wanted_quota *w = &p->want[i];

        if (w->key.algo == DIGEST_NONE)
            give_quota_key(w);
        if (!w->is_stored && tbl_quota_put(t, &w->key, &w->r, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- what is there ---- */

struct first_count {
    const struct registry *reg;
    uint64_t new; /* the quotas that are counted, as bits */
    struct quota_change change;
    uint64_t repo;
    struct digest digest;
    struct rec_manifest r;
    bool is_found;
    struct manifest manifest;
};

static int
count_found_manifest(struct txn *t, void *arg, struct err *err)
{
    struct first_count *c = arg;
    struct quota_change change = {.set = c->change.set};

    kv_relax(t);
    if (quota_count(t, c->reg, &change, c->repo, &c->digest, c->r.size, err) != 0)
        return -1;
    for (size_t i = 0; i < c->manifest.descriptors_n; i++)
        if (quota_count_blob(t, c->reg, &change, c->repo, &c->manifest.descriptors[i].digest,
                             err) != 0)
            return -1;
    return quota_settle(t, c->reg, &change, true, err);
}

static int
take_found_manifest(uint64_t repo, const struct digest *d, const struct rec_manifest *r, void *arg,
                    struct err *err)
{
    struct first_count *c = arg;

    (void)err;
    c->is_found = repo == c->repo;
    c->digest = *d;
    c->r = *r;
    return 1;
}

static int
count_next_manifest(struct first_count *c, struct err *err)
{
    struct bytes document;
    struct arena arena;
    struct err ignored;
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    if (pull_document(c->reg, &c->digest, c->r.size, &arena, &document, &ignored) != 1 ||
        manifest_parse(&c->manifest, document, c->r.media_type, &arena, &ignored) != 0)
        c->manifest = (struct manifest){.descriptors_n = 0};
    manifest_sort(c->manifest.descriptors, c->manifest.descriptors_n);
    rc = txn_run_anyway(c->reg->kv, count_found_manifest, c, err);
    arena_reset(&arena);
    return rc;
}

static int
count_whole_repository(struct first_count *c, uint64_t repo, struct err *err)
{
    struct digest after = {.algo = DIGEST_NONE};

    c->repo = repo;
    for (;;) {
        c->is_found = false;
        if (tbl_manifest_each(kv_reads(c->reg->kv), repo, &after, take_found_manifest, c, err) != 0)
            return -1;
        if (!c->is_found)
            return 0;
        after = c->digest;
        if (count_next_manifest(c, err) != 0)
            return -1;
    }
}

static int
finish_count(struct txn *t, void *arg, struct err *err)
{
    const struct first_count *c = arg;
    struct rec_quota r;

    for (size_t i = 0; i < c->reg->quotas->n; i++) {
        const struct digest *key = &c->reg->quotas->v[i].key;
        int rc = tbl_quota_get_for_update(t, key, &r, err);

        r.counted = true;
        if (rc < 0 || (rc == 1 && tbl_quota_put(t, key, &r, err) != 0))
            return -1;
    }
    return 0;
}

static int
count_new_quotas(struct first_count *c, struct err *err)
{
    struct repository_batch b = {.n = REPOSITORY_BATCH};

    while (b.n == REPOSITORY_BATCH) {
        if (repository_next(c->reg, &b, err) != 0)
            return -1;
        for (size_t i = 0; i < b.n; i++) {
            c->change.set = quota_set_of(c->reg, b.v[i].name) & c->new;
            if (c->change.set != 0 && count_whole_repository(c, b.v[i].id, err) != 0)
                return -1;
        }
    }
    return txn_run_anyway(c->reg->kv, finish_count, c, err);
}

/* ---- all of it ---- */

static int
make_plan_real(struct registry *reg, struct quota_plan *p, struct first_count *c,
               struct quotas *quotas, struct err *err)
{
    if (txn_run_anyway(reg->kv, write_plan, p, err) != 0 || quota_load(reg->kv, quotas, err) != 0)
        return -1;
    reg->quotas = quotas;
    c->reg = reg;
    for (size_t i = 0; i < quotas->n; i++)
        for (size_t k = 0; k < p->want_n; k++)
            if (digest_equal(&quotas->v[i].key, &p->want[k].key) && !p->want[k].r.counted)
                c->new |= UINT64_C(1) << i;
    return c->new != 0 ? count_new_quotas(c, err) : 0;
}

int
quota_begin(const struct registry *reg, char *const *texts, size_t n, struct err *err)
{
    struct quota_plan *p = mem_alloc(sizeof *p);
    struct quotas *quotas = mem_alloc(sizeof *quotas);
    struct registry with = *reg;
    struct first_count c = {.new = 0};
    int rc = plan_quotas(p, texts, n, err);

    if (rc == 0)
        rc = tbl_quota_each(kv_reads(reg->kv), compare_with_plan, p, err);
    if (rc == 0 && (p->want_n > 0 || p->drop_n > 0))
        rc = make_plan_real(&with, p, &c, quotas, err);
    free(p);
    free(quotas);
    return rc;
}
