#include "domain/core/trash.h"
#include "domain/core/foreign_images.h"
#include "domain/core/history.h"
#include "domain/core/lease.h"
#include "domain/core/pull.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_trash.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/log.h"

/* Bytes of memory for one document. */
#define MEMORY (16u << 20)
/* Indexes within indexes that are asked how long they stay. */
#define LEVELS_MAX 4

static int
note_any_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    *(bool *)arg = true;
    return 1;
}

/* Has it an edge of that kind from that repository? 1, 0, -1. */
static int
has_edge_from(struct txn *t, const struct digest *to, enum edge_kind kind, uint64_t repo,
              struct err *err)
{
    bool has = false;

    return tbl_edge_each(t, to, kind, repo, NULL, note_any_edge, &has, err) != 0 ? -1 : has;
}

/* 1, 0, -1. */
static int
is_named_in(struct txn *t, uint64_t repo, const struct digest *d, struct err *err)
{
    int rc = has_edge_from(t, d, EDGE_HISTORY, repo, err);

    return rc == 0 ? has_edge_from(t, d, EDGE_TRASH_PART, repo, err) : rc;
}

/* ---- in ---- */

int
trash_take(struct txn *t, const struct registry *reg, const struct edge *held,
           const struct rec_manifest *r, bool untagged, uint64_t now, struct err *err)
{
    struct rec_trash trash = {.until = 0}, former;
    int named = untagged, child = 0, had;

    if (reg->history_keep_ms == 0)
        return 0;
    if (!untagged)
        named = is_named_in(t, held->repo, &held->to, err);
    if (named == 0)
        child = has_edge_from(t, &held->to, EDGE_CHILD, held->repo, err);
    if (named < 0 || child < 0)
        return -1;
    had = tbl_trash_get_for_update(t, held->repo, &held->to, &former, err);
    if (had < 0 || (named == 0 && child == 0 && had == 0))
        return had;
    if (child == 1)
        trash.until = history_until(reg, now);
    if (had == 1 && former.until > trash.until)
        trash.until = former.until;
    trash.manifest = *r;
    return tbl_trash_put(t, held->repo, &held->to, &trash, err) != 0 ? -1 : 1;
}

/* ---- the edges ---- */

static void
change_trash_edges(void (*change)(struct edge_batch *edges, struct edge e),
                   struct edge_batch *edges, uint64_t repo, const struct digest *d,
                   const struct rec_manifest *r, const struct manifest *m)
{
    struct edge e = {.to = *d, .kind = EDGE_TRASHED, .repo = repo};

    change(edges, e);
    e.kind = EDGE_TRASH_PART;
    e.from = *d;
    e.to = r->made_from;
    if (e.to.algo != DIGEST_NONE)
        change(edges, e);
    for (size_t i = 0; i < m->descriptors_n; i++) {
        e.to = m->descriptors[i].digest;
        change(edges, e);
    }
}

void
trash_put_edges(struct edge_batch *edges, uint64_t repo, const struct digest *d,
                const struct rec_manifest *r, const struct manifest *m)
{
    change_trash_edges(edge_batch_put, edges, repo, d, r, m);
}

void
trash_delete_edges(struct edge_batch *edges, uint64_t repo, const struct digest *d,
                   const struct rec_manifest *r, const struct manifest *m)
{
    change_trash_edges(edge_batch_delete, edges, repo, d, r, m);
}

/* ---- out, for good ---- */

struct emptying_trash {
    const struct registry *reg;
    uint64_t repo;
    const struct digest *d;
    bool purge;
    struct rec_trash record;
    struct manifest manifest; /* its descriptors are in the order of keys */
    uint64_t now;
};

/* 1: nothing needs it any more; 0, -1. */
static int
is_over(struct txn *t, const struct emptying_trash *x, struct err *err)
{
    int rc;

    if (x->purge)
        return 1;
    if (x->record.until > clock_wall_ms())
        return 0;
    rc = is_named_in(t, x->repo, x->d, err);
    return rc < 0 ? -1 : rc == 0;
}

/* Looks at all that the manifest kept. If it is an index, its manifests may be in the trash, too.
 */
static int
look_at_trashed_parts(struct txn *t, const struct emptying_trash *x, struct err *err)
{
    const struct manifest *m = &x->manifest;
    const struct digest *made_from = &x->record.manifest.made_from;
    uint64_t when = x->now + x->reg->lease_ms;

    for (size_t i = 0; i < m->descriptors_n; i++)
        if (lease_look_at(t, &m->descriptors[i].digest, when, err) != 0)
            return -1;
    if (x->record.manifest.size > CONTENT_MAX && lease_look_at(t, x->d, when, err) != 0)
        return -1;
    if (made_from->algo != DIGEST_NONE && lease_look_at(t, made_from, when, err) != 0)
        return -1;
    for (size_t i = 0; i < m->descriptors_n; i++)
        if (m->descriptors[i].part == PART_CHILD &&
            history_look_now(t, &m->descriptors[i].digest, x->now, err) != 0)
            return -1;
    return 0;
}

static int
empty_trash(struct txn *t, void *arg, struct err *err)
{
    struct emptying_trash *x = arg;
    struct edge ours = {.to = *x->d, .kind = EDGE_TRASHED, .repo = x->repo};
    struct rec_manifest *r = &x->record.manifest;
    struct edge_batch edges = {.n = 0};
    int rc;

    kv_relax(t);
    x->now = clock_wall_ms();
    if (r->made_from.algo != DIGEST_NONE &&
        x->reg->foreign->lease(t, x->reg, &r->made_from, x->now, err) != 0)
        return -1;
    rc = tbl_trash_get_for_update(t, x->repo, x->d, &x->record, err);
    if (rc == 1)
        rc = is_over(t, x, err);
    if (rc != 1)
        return rc;
    if (tbl_trash_drop(t, x->repo, x->d, err) != 0 ||
        lease_document(t, x->reg, &ours, r->size, x->now, err) != 0)
        return -1;
    for (size_t i = 0; i < x->manifest.descriptors_n; i++)
        if (lease_blob(t, x->reg, &x->manifest.descriptors[i].digest, x->now, err) != 0)
            return -1;
    trash_delete_edges(&edges, x->repo, x->d, r, &x->manifest);
    if (edge_batch_write(t, &edges, err) != 0)
        return -1;
    return look_at_trashed_parts(t, x, err);
}

/* A document that can't be read has no parts that could be given up; fsck finds their edges. */
static int
read_trashed(struct emptying_trash *x, struct arena *arena, struct err *err)
{
    const struct rec_manifest *r = &x->record.manifest;
    struct bytes document;
    int rc = pull_document(x->reg, x->d, r->size, arena, &document, err);

    if (rc == 1)
        rc = manifest_parse(&x->manifest, document, r->media_type, arena, err) == 0 ? 1 : -1;
    if (rc == 1) {
        manifest_sort(x->manifest.descriptors, x->manifest.descriptors_n);
        return 0;
    }
    log_line(LOG_WARN, "a deleted manifest can't be read, and its parts stay", "why=%s",
             rc < 0 ? err->message : "its document is missing");
    x->manifest = (struct manifest){.descriptors_n = 0};
    return 0;
}

int
trash_empty(const struct registry *reg, uint64_t repo, const struct digest *d, bool purge,
            struct err *err)
{
    struct emptying_trash x = {.reg = reg, .repo = repo, .d = d, .purge = purge};
    struct arena arena;
    int rc = tbl_trash_get(kv_reads(reg->kv), repo, d, &x.record, err);

    if (rc == 1)
        rc = is_over(kv_reads(reg->kv), &x, err);
    if (rc != 1)
        return rc;
    arena_init(&arena, MEMORY);
    rc = read_trashed(&x, &arena, err);
    if (rc == 0)
        rc = txn_run_anyway(reg->kv, empty_trash, &x, err);
    arena_reset(&arena);
    return rc;
}

/* ---- until when ---- */

static int
take_later_end(const struct edge *e, void *arg, struct err *err)
{
    uint64_t *until = arg;

    (void)err;
    if (e->until > *until)
        *until = e->until;
    return 0;
}

static int
take_trash_source(const struct edge *e, void *arg, struct err *err)
{
    (void)err;
    *(struct digest *)arg = e->from;
    return 1;
}

/* The first index in the trash that names it; DIGEST_NONE: there is none. */
static int
take_index_of(struct txn *t, uint64_t repo, struct digest *at, struct err *err)
{
    const struct digest d = *at;

    at->algo = DIGEST_NONE;
    return tbl_edge_each(t, &d, EDGE_TRASH_PART, repo, NULL, take_trash_source, at, err);
}

/* A manifest without an end of its own stays as long as its index. */
int
trash_until(const struct registry *reg, uint64_t repo, const struct digest *d, uint64_t *until,
            struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    struct digest at = *d;

    *until = 0;
    for (int i = 0; i < LEVELS_MAX && at.algo != DIGEST_NONE && *until == 0; i++) {
        struct rec_trash r;
        int rc = tbl_trash_get(t, repo, &at, &r, err);

        if (rc <= 0)
            return rc;
        *until = r.until;
        if (tbl_edge_each(t, &at, EDGE_HISTORY, repo, NULL, take_later_end, until, err) != 0)
            return -1;
        if (*until == 0 && take_index_of(t, repo, &at, err) != 0)
            return -1;
    }
    return 0;
}
