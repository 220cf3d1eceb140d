#include "domain/core/history_end.h"
#include "domain/core/foreign_images.h"
#include "domain/core/lease.h"
#include "domain/core/trash.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"
#include "util/mem.h"

/* Edges of one transaction, and tags of one step. */
#define BATCH 50
/* Transactions of one call. */
#define ROUNDS_MAX 20

/* Moves that one step of history_end_trim looks at; more than a tag can have. */
#define TRIM_VISITS 500

/* ---- the edges of one digest and repository ---- */

struct ending_history {
    const struct registry *reg;
    const struct digest *d;
    uint64_t repo;
    uint64_t until;  /* edges up to this time end, */
    const char *tag; /* and only those of this tag; NULL: of all */
    struct edge v[BATCH];
    char tags[BATCH][RECORD_TAG_MAX + 1];
    size_t n;
};

static int
collect_ended_edge(const struct edge *e, void *arg, struct err *err)
{
    struct ending_history *x = arg;

    (void)err;
    if (e->until > x->until) /* the edges of a repository are in the order of time */
        return 1;
    if (x->tag != NULL && strcmp(e->tag, x->tag) != 0)
        return 0;
    x->v[x->n] = *e;
    snprintf(x->tags[x->n], sizeof x->tags[0], "%s", e->tag);
    x->v[x->n].tag = x->tags[x->n];
    return ++x->n == BATCH;
}

static int
drop_ended_edges(struct txn *t, void *arg, struct err *err)
{
    const struct ending_history *x = arg;
    bool is_image = x->d->algo == DIGEST_V1_ID;
    uint64_t now = clock_wall_ms();

    kv_relax(t);
    if (is_image && x->reg->foreign->lease(t, x->reg, x->d, now, err) != 0)
        return -1;
    for (size_t i = 0; i < x->n; i++)
        if (tbl_edge_drop(t, &x->v[i], err) != 0)
            return -1;
    return is_image ? lease_look_at(t, x->d, now + x->reg->lease_ms, err) : 0;
}

/* 1: there are more; 0, -1. */
static int
end_edges(const struct registry *reg, const struct digest *d, uint64_t repo, uint64_t until,
          const char *tag, struct err *err)
{
    struct ending_history x = {.reg = reg, .d = d, .repo = repo, .until = until, .tag = tag};

    if (tbl_edge_each(kv_reads(reg->kv), d, EDGE_HISTORY, repo, NULL, collect_ended_edge, &x,
                      err) != 0 ||
        (x.n > 0 && txn_run_anyway(reg->kv, drop_ended_edges, &x, err) != 0))
        return -1;
    return x.n == BATCH;
}

/* ---- the job ---- */

/* Calls fn for each repository with an edge of that kind to d. 1: there is more to do; 0; -1. */
static int
visit_repositories(const struct registry *reg, const struct digest *d, enum edge_kind kind,
                   int (*fn)(const struct registry *reg, const struct digest *d, uint64_t repo,
                             struct err *err),
                   struct err *err)
{
    uint64_t repo = 0;
    int rc, more = 0;

    while ((rc = tbl_edge_next_repo(kv_reads(reg->kv), d, kind, repo, &repo, err)) == 1 &&
           more == 0)
        more = fn(reg, d, repo, err);
    return rc < 0 || more < 0 ? -1 : more;
}

static int
end_due_edges(const struct registry *reg, const struct digest *d, uint64_t repo, struct err *err)
{
    int rc = 1;

    for (int i = 0; i < ROUNDS_MAX && rc == 1; i++)
        rc = end_edges(reg, d, repo, clock_wall_ms(), NULL, err);
    return rc;
}

static int
empty_trash_of(const struct registry *reg, const struct digest *d, uint64_t repo, struct err *err)
{
    return trash_empty(reg, repo, d, false, err);
}

int
history_end_due(const struct registry *reg, const struct digest *d, struct err *err)
{
    int rc = visit_repositories(reg, d, EDGE_HISTORY, end_due_edges, err);

    return rc == 0 ? visit_repositories(reg, d, EDGE_TRASHED, empty_trash_of, err) : rc;
}

/* ---- of one tag, at once ---- */

struct former_targets {
    struct digest v[TAG_LOG_KEPT]; /* each once */
    size_t n;
};

static int
add_former_target(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    struct former_targets *f = arg;

    (void)seq;
    (void)err;
    for (size_t i = 0; i < f->n; i++)
        if (digest_equal(&f->v[i], &r->before))
            return 0;
    if (r->before.algo != DIGEST_NONE)
        f->v[f->n++] = r->before;
    return f->n == TAG_LOG_KEPT;
}

int
history_end_tag(const struct registry *reg, uint64_t repo, const char *tag, struct err *err)
{
    struct former_targets *f = mem_alloc(sizeof *f);
    int rc;

    f->n = 0;
    rc = tbl_tag_log_each(kv_reads(reg->kv), repo, tag, add_former_target, f, err);
    for (size_t i = 0; rc == 0 && i < f->n; i++) {
        do
            rc = end_edges(reg, &f->v[i], repo, UINT64_MAX, tag, err);
        while (rc == 1);
        if (rc == 0)
            rc = trash_empty(reg, repo, &f->v[i], false, err);
    }
    free(f);
    return rc;
}

/* ---- of deleted tags ---- */

struct trimming {
    uint64_t before; /* deletions before this time */
    struct tag_log_place last;
    struct rec_tag_log move; /* the one at `last` */
    struct tag_log_place at; /* all before is done */
    size_t visits;
    struct tag_log_place over[BATCH]; /* tags */
    size_t n;
};

static void
end_tag(struct trimming *x)
{
    if (x->last.seq == 0)
        return;
    x->at = x->last;
    if (x->move.after.algo == DIGEST_NONE && x->move.time < x->before)
        x->over[x->n++] = x->last;
}

static int
see_move_of_any(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg,
                struct err *err)
{
    struct trimming *x = arg;

    (void)err;
    if (at->repo != x->last.repo || strcmp(at->tag, x->last.tag) != 0)
        end_tag(x);
    x->last = *at;
    x->move = *r;
    return ++x->visits == TRIM_VISITS || x->n == BATCH;
}

static int
drop_history(struct txn *t, void *arg, struct err *err)
{
    const struct tag_log_place *tag = arg;
    struct tag_log_place at = *tag;
    struct rec_tag r;
    int rc = tbl_tag_get(t, tag->repo, tag->tag, &r, err);

    kv_relax(t);
    if (rc != 0)
        return rc < 0 ? -1 : 0;
    for (size_t i = 0; i < TAG_LOG_KEPT && at.seq > 0; i++, at.seq--)
        if (tbl_tag_log_drop_at(t, &at, err) != 0)
            return -1;
    return 0;
}

int
history_end_trim(const struct registry *reg, struct tag_log_place *at, struct err *err)
{
    uint64_t keep = reg->history_keep_ms > HISTORY_END_DELETED_MS ? reg->history_keep_ms
                                                                  : HISTORY_END_DELETED_MS;
    uint64_t now = clock_wall_ms();
    struct trimming x = {.before = now > keep ? now - keep : 0, .at = *at};

    if (tbl_tag_log_scan(kv_reads(reg->kv), at, see_move_of_any, &x, err) != 0)
        return -1;
    if (x.visits < TRIM_VISITS && x.n < BATCH)
        end_tag(&x);
    for (size_t i = 0; i < x.n; i++)
        if (txn_run_anyway(reg->kv, drop_history, &x.over[i], err) != 0)
            return -1;
    *at = x.visits < TRIM_VISITS && x.n < BATCH ? (struct tag_log_place){.repo = 0} : x.at;
    return 0;
}
