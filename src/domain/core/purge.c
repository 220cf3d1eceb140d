#include "domain/core/purge.h"
#include "domain/core/delete.h"
#include "domain/core/lease.h"
#include "domain/core/manifest.h"
#include "domain/core/pull.h"
#include "domain/core/quota.h"
#include "domain/core/repository.h"
#include "domain/core/trash.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"
#include "util/mem.h"

/* Bytes of memory for one document, and for its deletion. */
#define DOCUMENT_MEMORY (32u << 20)
/* Records that a transaction changes. */
#define BATCH 25
/* Blobs that are read at once. */
#define BLOB_PAGE 500

struct purging {
    const struct registry *reg; /* with --now: without leases and history */
    const char *repository;
    uint64_t repo;
    struct actor actor;
    struct purge *p;
};

static bool
has_purge_ended(const struct purging *x)
{
    x->p->show(x->p->tags, x->p->manifests, x->p->arg);
    return x->p->is_over(x->p->arg);
}

/* Another client may be faster. */
static bool
is_gone_already(const struct err *err)
{
    return err->code == ERR_NO_MANIFEST || err->code == ERR_NO_REPOSITORY;
}

/* ---- leases ---- */

struct ending_leases {
    const struct purging *x;
    struct digest v[BATCH]; /* sorted */
    size_t n;
};

/* 1: only this repository may serve it, and nothing keeps it; 0; -1. */
static int
is_only_ours(struct txn *t, const struct purging *x, const struct digest *d, struct err *err)
{
    uint64_t repo = 0;
    int rc = tbl_edge_kept(t, d, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    do {
        rc = tbl_edge_next_repo(t, d, EDGE_MEMBER, repo, &repo, err);
    } while (rc == 1 && repo == x->repo);
    return rc < 0 ? -1 : rc == 0;
}

/* Does anything of the repository need it still? 1, 0, -1. */
static int
is_needed_here(struct txn *t, const struct purging *x, const struct digest *d, struct err *err)
{
    static const enum edge_kind kinds[] = {EDGE_HELD, EDGE_CHILD, EDGE_PART, EDGE_TRASH_PART};
    uint64_t repo;

    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        int rc = tbl_edge_next_repo(t, d, kinds[i], x->repo - 1, &repo, err);

        if (rc < 0 || (rc == 1 && repo == x->repo))
            return rc;
    }
    return 0;
}

/* Other repositories may have it: here it can't be pulled any more. */
static int
end_right(struct txn *t, const struct purging *x, const struct digest *d, uint64_t size,
          struct err *err)
{
    const struct edge member = {.to = *d, .kind = EDGE_MEMBER, .repo = x->repo};
    int rc = is_needed_here(t, x, d, err);

    if (rc == 0)
        rc = tbl_edge_delete(t, &member, err) < 0 ? -1 : quota_discount(t, x->repo, d, size, err);
    return rc < 0 ? -1 : 0;
}

static int
end_leases_of_batch(struct txn *t, void *arg, struct err *err)
{
    struct ending_leases *e = arg;
    uint64_t now = clock_wall_ms();
    struct rec_blob r[BATCH];
    uint64_t sizes[BATCH];
    bool has[BATCH];
    int found[BATCH];

    for (size_t i = 0; i < e->n; i++) {
        found[i] = tbl_blob_get_for_update(t, &e->v[i], &r[i], err);
        if (found[i] < 0)
            return -1;
        has[i] = found[i] == 1;
        if (found[i] == 1)
            found[i] = is_only_ours(t, e->x, &e->v[i], err);
        r[i].leased_until = now;
        if (found[i] < 0 || (found[i] == 1 && tbl_blob_put(t, &e->v[i], &r[i], err) != 0))
            return -1;
        sizes[i] = has[i] ? r[i].size : 0;
    }
    for (size_t i = 0; i < e->n; i++)
        if (has[i] && end_right(t, e->x, &e->v[i], sizes[i], err) != 0)
            return -1;
    for (size_t i = 0; i < e->n; i++)
        if (found[i] == 1 && lease_look_at(t, &e->v[i], now, err) != 0)
            return -1;
    return 0;
}

/* Of the parts of a manifest, sorted, and of its document. */
static int
end_leases(const struct purging *x, const struct digest *d, const struct manifest *m,
           struct err *err)
{
    struct ending_leases e = {.x = x, .v = {*d}, .n = 1};

    for (size_t i = 0; i < m->descriptors_n; i++) {
        if (e.n == BATCH && txn_run_anyway(x->reg->kv, end_leases_of_batch, &e, err) != 0)
            return -1;
        if (e.n == BATCH)
            e.n = 0;
        e.v[e.n++] = m->descriptors[i].digest;
    }
    return txn_run_anyway(x->reg->kv, end_leases_of_batch, &e, err);
}

/* ---- manifests ---- */

/* Reads what it keeps. A document that can't be read has no parts here. */
static void
read_kept(const struct purging *x, const struct digest *d, const struct rec_manifest *r,
          struct arena *arena, struct manifest *m)
{
    struct bytes document;
    struct err ignored;

    if (pull_document(x->reg, d, r->size, arena, &document, &ignored) != 1 ||
        manifest_parse(m, document, r->media_type, arena, &ignored) != 0)
        *m = (struct manifest){.descriptors_n = 0};
    manifest_sort(m->descriptors, m->descriptors_n);
}

static int
purge_manifest(const struct purging *x, const struct digest *d, const struct rec_manifest *r,
               struct err *err)
{
    struct manifest m = {.descriptors_n = 0};
    struct arena arena;
    int rc;

    arena_init(&arena, DOCUMENT_MEMORY);
    if (x->p->now)
        read_kept(x, d, r, &arena, &m);
    rc = delete_manifest(x->reg, x->repository, d, NULL, &x->actor, &arena, err);
    if (rc == 0)
        x->p->manifests++;
    else if (is_gone_already(err))
        rc = 0;
    if (rc == 0 && x->p->now)
        rc = end_leases(x, d, &m, err);
    arena_reset(&arena);
    return rc;
}

struct next_manifest {
    uint64_t repo;
    struct digest digest;
    struct rec_manifest r;
    bool is_found;
};

static int
take_next_manifest(uint64_t repo, const struct digest *d, const struct rec_manifest *r, void *arg,
                   struct err *err)
{
    struct next_manifest *next = arg;

    (void)err;
    next->is_found = repo == next->repo;
    next->digest = *d;
    next->r = *r;
    return 1;
}

static int
purge_manifests(const struct purging *x, struct err *err)
{
    struct next_manifest next = {.repo = x->repo, .digest = {.algo = DIGEST_NONE}};

    while (!has_purge_ended(x)) {
        struct digest after = next.digest;

        next.is_found = false;
        if (tbl_manifest_each(kv_reads(x->reg->kv), x->repo, &after, take_next_manifest, &next,
                              err) != 0)
            return -1;
        if (!next.is_found)
            break;
        if (purge_manifest(x, &next.digest, &next.r, err) != 0)
            return -1;
    }
    return 0;
}

/* ---- tags ---- */

static int
take_next_tag(const char *tag, const struct rec_tag *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    snprintf(arg, RECORD_TAG_MAX + 1, "%s", tag);
    return 1;
}

static int
purge_tags(const struct purging *x, struct err *err)
{
    char tag[RECORD_TAG_MAX + 1] = "", next[RECORD_TAG_MAX + 1];

    while (!has_purge_ended(x)) {
        struct arena arena;
        int rc;

        next[0] = '\0';
        if (tbl_tag_each(kv_reads(x->reg->kv), x->repo, tag, take_next_tag, next, err) != 0)
            return -1;
        if (next[0] == '\0')
            break;
        memcpy(tag, next, sizeof tag);
        arena_init(&arena, DOCUMENT_MEMORY);
        rc = delete_tag(x->reg, x->repository, tag, NULL, &x->actor, &arena, err);
        arena_reset(&arena);
        x->p->tags += rc == 0;
        if (rc != 0 && !is_gone_already(err))
            return -1;
    }
    return 0;
}

/* ---- history, and what it keeps ---- */

struct history_batch {
    const struct purging *x;
    struct digest to;
    struct edge edges[BATCH];
    char tags[BATCH][RECORD_TAG_MAX + 1];
    size_t n;
};

static int
add_history_edge(const struct edge *e, void *arg, struct err *err)
{
    struct history_batch *b = arg;

    (void)err;
    b->edges[b->n] = *e;
    snprintf(b->tags[b->n], sizeof b->tags[0], "%s", e->tag);
    b->edges[b->n].tag = b->tags[b->n];
    return ++b->n == BATCH;
}

/* Images and manifests that these edges kept, also those of the first API, are looked at at once.
 */
static int
drop_history_edges(struct txn *t, void *arg, struct err *err)
{
    struct history_batch *b = arg;

    for (size_t i = 0; i < b->n; i++)
        if (tbl_edge_drop(t, &b->edges[i], err) != 0)
            return -1;
    return lease_look_at(t, &b->to, clock_wall_ms(), err);
}

static int
end_history_to(const struct purging *x, const struct digest *d, struct err *err)
{
    struct history_batch b = {.x = x, .to = *d, .n = BATCH};

    while (b.n == BATCH && d->algo != DIGEST_NONE) {
        b.n = 0;
        if (tbl_edge_each(kv_reads(x->reg->kv), d, EDGE_HISTORY, x->repo, NULL, add_history_edge,
                          &b, err) != 0 ||
            (b.n > 0 && txn_run_anyway(x->reg->kv, drop_history_edges, &b, err) != 0))
            return -1;
    }
    return 0;
}

struct next_move {
    struct tag_log_place at;
    struct rec_tag_log r;
    bool is_found;
};

static int
take_next_move(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg,
               struct err *err)
{
    struct next_move *next = arg;

    (void)err;
    next->is_found = at->repo == next->at.repo;
    next->at = *at;
    next->r = *r;
    return 1;
}

static int
drop_moves(struct txn *t, void *arg, struct err *err)
{
    const struct purging *x = arg;
    int rc = tbl_tag_log_drop(t, x->repo, BATCH * 10, err);

    return rc < 0 ? -1 : 0;
}

static int
purge_history(struct purging *x, struct err *err)
{
    struct next_move next = {.at = {.repo = x->repo}};
    int rc = 1;

    while (!has_purge_ended(x)) {
        struct tag_log_place after = next.at;

        next.is_found = false;
        if (tbl_tag_log_scan(kv_reads(x->reg->kv), &after, take_next_move, &next, err) != 0)
            return -1;
        if (!next.is_found)
            break;
        if (end_history_to(x, &next.r.before, err) != 0)
            return -1;
    }
    while (!has_purge_ended(x) && (rc = tbl_tag_log_any(kv_reads(x->reg->kv), x->repo, err)) == 1)
        if (txn_run_anyway(x->reg->kv, drop_moves, x, err) != 0)
            return -1;
    return rc < 0 ? -1 : 0;
}

static int
purge_trash(const struct purging *x, struct err *err)
{
    struct digest d;
    int rc = 1;

    while (rc == 1 && !has_purge_ended(x)) {
        struct manifest m = {.descriptors_n = 0};
        struct rec_trash r;
        struct arena arena;

        rc = tbl_trash_first(kv_reads(x->reg->kv), x->repo, &d, err);
        if (rc == 1)
            rc = tbl_trash_get(kv_reads(x->reg->kv), x->repo, &d, &r, err) < 0 ? -1 : 1;
        if (rc != 1)
            break;
        arena_init(&arena, DOCUMENT_MEMORY);
        read_kept(x, &d, &r.manifest, &arena, &m);
        rc = trash_empty(x->reg, x->repo, &d, true, err) == 0 && end_leases(x, &d, &m, err) == 0
                 ? 1
                 : -1;
        arena_reset(&arena);
    }
    return rc < 0 ? -1 : 0;
}

/* ---- blobs that no manifest names ---- */

struct blob_page_of_all {
    struct digest v[BLOB_PAGE];
    size_t n;
};

static int
add_blob_of_all(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct blob_page_of_all *page = arg;

    (void)r;
    (void)err;
    page->v[page->n++] = *d;
    return page->n == BLOB_PAGE;
}

static int
end_rights_of_page(const struct purging *x, const struct blob_page_of_all *page, struct err *err)
{
    struct ending_leases e = {.x = x, .n = 0};
    struct edge member = {.kind = EDGE_MEMBER, .repo = x->repo};

    for (size_t i = 0; i < page->n; i++) {
        int has;

        member.to = page->v[i];
        has = tbl_edge_has(kv_reads(x->reg->kv), &member, err);
        if (has < 0)
            return -1;
        if (has == 1)
            e.v[e.n++] = page->v[i];
        if (e.n == BATCH && txn_run_anyway(x->reg->kv, end_leases_of_batch, &e, err) != 0)
            return -1;
        if (e.n == BATCH)
            e.n = 0;
    }
    return e.n > 0 ? txn_run_anyway(x->reg->kv, end_leases_of_batch, &e, err) : 0;
}

/* Nothing lists the blobs of a repository, so all blobs are asked whether it has them. */
static int
purge_blobs(const struct purging *x, struct err *err)
{
    struct blob_page_of_all *page = mem_alloc(sizeof *page);
    struct digest after = {.algo = DIGEST_NONE};
    int rc = 0;

    page->n = BLOB_PAGE;
    while (rc == 0 && page->n == BLOB_PAGE && !has_purge_ended(x)) {
        page->n = 0;
        rc = tbl_blob_each(kv_reads(x->reg->kv), &after, add_blob_of_all, page, err);
        if (rc == 0)
            rc = end_rights_of_page(x, page, err);
        if (page->n > 0)
            after = page->v[page->n - 1];
    }
    free(page);
    if (rc == 0)
        repository_settle(x->reg, x->repository);
    return rc;
}

/* ---- all of it ---- */

int
purge_run(const struct registry *reg, const char *repository, struct purge *p, struct err *err)
{
    struct registry at_once = *reg;
    struct purging x = {.reg = p->now ? &at_once : reg, .repository = repository, .p = p};
    struct rec_repo repo;

    x.actor = (struct actor){.user = p->by, .address = "", .forces = true};
    at_once.lease_ms = 0;
    at_once.history_keep_ms = 0;
    p->tags = p->manifests = 0;
    if (repository_need(reg, repository, &repo, err) != 0)
        return -1;
    x.repo = repo.id;
    if (purge_tags(&x, err) != 0 || (p->now && purge_history(&x, err) != 0) ||
        purge_manifests(&x, err) != 0 || (p->now && purge_trash(&x, err) != 0) ||
        (p->now && purge_blobs(&x, err) != 0))
        return -1;
    return 0;
}
