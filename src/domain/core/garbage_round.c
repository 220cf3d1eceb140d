#include "domain/core/garbage_round.h"
#include "domain/core/foreign_images.h"
#include "domain/core/garbage.h"
#include "domain/core/garbage_history.h"
#include "domain/core/untagged.h"
#include "storage/files/blob_file.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"

/* Records that are read at once. */
#define PAGE 200
/* Pause before the next look for files whose time has come. */
#define WAIT_MS 50

/* ---- for all parts ---- */

void
garbage_round_tell(struct garbage_round *round, const struct garbage_item *item)
{
    round->tell(item, round->arg);
}

bool
garbage_round_is_over(struct garbage_round *round)
{
    return round->is_over(round->arg);
}

struct keeper_search {
    const struct gone_set *gone;
    bool is_kept;
};

/* A tag or a repository keeps a manifest or an image. If that goes, it is in the set itself. */
static int
note_keeper(const struct edge *e, void *arg, struct err *err)
{
    struct keeper_search *s = arg;
    const struct digest *source = e->from.algo != DIGEST_NONE ? &e->from : &e->to;

    (void)err;
    if (e->kind >= EDGE_KEEPS_END)
        return 1;
    s->is_kept = e->kind == EDGE_HISTORY || e->kind == EDGE_TRASHED ||
                 !gone_set_has(s->gone, e->repo, source);
    return s->is_kept;
}

int
garbage_round_keeps(struct garbage_round *round, const struct digest *d, struct err *err)
{
    struct keeper_search s = {.gone = &round->gone};

    if (round->gone.n == 0)
        return tbl_edge_kept(kv_reads(round->reg->kv), d, err);
    if (tbl_edge_each_behind(kv_reads(round->reg->kv), d, NULL, note_keeper, &s, err) != 0)
        return -1;
    return s.is_kept;
}

/* ---- manifests ---- */

static void
tell_manifest(const struct untagged_manifest *m, void *arg)
{
    garbage_round_tell(arg, &(struct garbage_item){.kind = GARBAGE_MANIFEST,
                                                   .digest = &m->digest,
                                                   .repository = m->repository,
                                                   .size = m->size,
                                                   .until = m->until,
                                                   .is_history = m->is_history});
}

static void
ignore_manifest(const struct untagged_manifest *m, void *arg)
{
    if (m->until == 0)
        tell_manifest(m, arg);
}

/* With an index its parts lose what reached them, and with a subject its referrers. So the walk is
 * repeated until it finds nothing. */
static int
delete_untagged(struct garbage_round *round, struct err *err)
{
    struct untagged_rule rule = {.age_ms = round->untagged_ms,
                                 .by = round->by,
                                 .gone = round->dry_run ? &round->gone : NULL,
                                 .tell = tell_manifest,
                                 .arg = round};
    uint64_t found = 1;
    int rc = 0;

    while (found > 0 && rc == 0) {
        struct untagged_walk w = {.repo = 0};

        while ((rc = untagged_step(round->reg, &w, &rule, err)) == 1) {
            if (garbage_round_is_over(round))
                return 0;
            round->show("manifests", w.seen, round->arg);
        }
        found = w.found;
        rule.tell = ignore_manifest; /* those that wait have been told of */
    }
    return rc;
}

static bool
tell_deleted_manifest(const struct garbage_history_item *deleted, void *arg)
{
    struct garbage_round *round = arg;

    garbage_round_tell(round, &(struct garbage_item){.kind = GARBAGE_MANIFEST,
                                                     .digest = deleted->digest,
                                                     .repository = deleted->repository,
                                                     .size = deleted->size,
                                                     .until = deleted->until,
                                                     .is_history = true});
    return garbage_round_is_over(round);
}

static int
tell_deleted_manifests(struct garbage_round *round, struct err *err)
{
    return garbage_history_each(round->reg, tell_deleted_manifest, round, &round->trashed, err);
}

/* ---- files without a record ---- */

/* Tells of a file once, and only if it is there. */
static void
tell_file(struct garbage_round *round, const struct digest *d, uint64_t instance)
{
    uint64_t bytes;

    if (blob_file_size(round->reg->blobs, d, instance, &bytes) &&
        gone_set_add(&round->told, instance, d))
        garbage_round_tell(
            round, &(struct garbage_item){.kind = GARBAGE_FILE, .digest = d, .size = bytes});
}

struct unlink_page {
    uint64_t after_due;
    struct digest after;
    struct {
        struct job job;
        uint64_t instance;
    } v[PAGE];
    size_t n;
};

static int
add_unlink_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct unlink_page *p = arg;

    (void)err;
    if (j->due < p->after_due ||
        (j->due == p->after_due && digest_compare(&j->digest, &p->after) <= 0))
        return 0;
    p->v[p->n].job = *j;
    p->v[p->n].instance = r->instance;
    return ++p->n == PAGE;
}

/* Files whose record is deleted already, and that go within seconds. */
static int
tell_unlinked_files(struct garbage_round *round, struct err *err)
{
    struct unlink_page p = {.n = PAGE};

    while (p.n == PAGE) {
        p.n = 0;
        if (tbl_job_each(kv_reads(round->reg->kv), JOB_UNLINK, add_unlink_job, &p, err) != 0)
            return -1;
        for (size_t i = 0; i < p.n; i++)
            tell_file(round, &p.v[i].job.digest, p.v[i].instance);
        if (p.n > 0) {
            p.after_due = p.v[p.n - 1].job.due;
            p.after = p.v[p.n - 1].job.digest;
        }
    }
    return 0;
}

static int
tell_orphan(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct garbage_round *round = arg;
    int rc = garbage_is_orphan(round->reg, d, instance, age_s, err);

    if (rc == 1)
        tell_file(round, d, instance);
    return rc < 0 ? -1 : 0;
}

static int
sweep_files(struct garbage_round *round, struct err *err)
{
    if (tell_unlinked_files(round, err) != 0)
        return -1;
    for (unsigned i = 0; i < DIGEST_DIRECTORIES && !garbage_round_is_over(round); i++) {
        if (blob_file_each(round->reg->blobs, i, tell_orphan, round, err) != 0 ||
            (!round->dry_run && garbage_sweep(round->reg, i, err) != 0))
            return -1;
        round->show("directories of layers", i + 1, round->arg);
    }
    return 0;
}

/* Waits until the files are removed, by this process or by the keeper. During a backup they stay,
 * and go after it. */
static int
remove_files(struct garbage_round *round, struct err *err)
{
    uint64_t end = clock_wall_ms() + round->reg->file_grace_ms, due = 0;
    int rc;

    while (!garbage_round_is_over(round) && !garbage_is_held(round->reg)) {
        struct unlink_page p = {.n = 0};

        rc = garbage_unlink(round->reg, err);
        if (rc < 0)
            return -1;
        if (tbl_job_each(kv_reads(round->reg->kv), JOB_UNLINK, add_unlink_job, &p, err) != 0)
            return -1;
        due = p.n > 0 ? p.v[0].job.due : UINT64_MAX;
        if (due > end)
            break;
        round->show("files that are still there, or more", p.n, round->arg);
        if (rc == 0)
            clock_sleep_ms(WAIT_MS);
    }
    return 0;
}

/* ---- blobs ---- */

struct blob_page {
    struct {
        struct digest digest;
        struct rec_blob r;
    } v[PAGE];
    size_t n;
};

static int
add_blob_to_page(const struct digest *d, const struct rec_blob *r, void *arg, struct err *err)
{
    struct blob_page *p = arg;

    (void)err;
    p->v[p->n].digest = *d;
    p->v[p->n].r = *r;
    return ++p->n == PAGE;
}

/* The blobs that go together. */
struct blob_group {
    struct garbage_blob v[GARBAGE_GROUP];
    uint64_t sizes[GARBAGE_GROUP];
    size_t n;
};

static int
collect_blob_group(struct garbage_round *round, struct blob_group *g, struct err *err)
{
    int rc = 0;

    if (round->dry_run)
        for (size_t i = 0; i < g->n; i++)
            g->v[i].is_gone = true;
    else
        rc = garbage_collect(round->reg, g->v, g->n, err);
    for (size_t i = 0; i < g->n && rc == 0; i++)
        if (g->v[i].is_gone)
            garbage_round_tell(round, &(struct garbage_item){.kind = GARBAGE_BLOB,
                                                             .digest = &g->v[i].digest,
                                                             .size = g->sizes[i]});
    g->n = 0;
    return rc;
}

/* When the lease of an unkept blob ends. In a dry run, what loses its last keeper would get one. */
static int
find_end_of_lease(struct garbage_round *round, const struct digest *d, const struct rec_blob *r,
                  uint64_t *until, struct err *err)
{
    uint64_t now = clock_wall_ms();
    int rc = round->gone.n > 0 ? tbl_edge_kept(kv_reads(round->reg->kv), d, err) : 0;

    *until = r->leased_until;
    if (rc == 1 && *until < now + round->reg->lease_ms)
        *until = now + round->reg->lease_ms;
    if (*until <= now)
        *until = 0;
    return rc < 0 ? -1 : 0;
}

static void
tell_waiting_blob(struct garbage_round *round, const struct digest *d, uint64_t size,
                  uint64_t until, bool is_history)
{
    garbage_round_tell(round, &(struct garbage_item){.kind = GARBAGE_BLOB,
                                                     .digest = d,
                                                     .size = size,
                                                     .until = until,
                                                     .is_history = is_history});
}

/* Does something keep it? until: not 0 if it waits for that. 1, 0, -1. */
static int
judge_blob(struct garbage_round *round, const struct digest *d, const struct rec_blob *r,
           uint64_t *until, struct err *err)
{
    int rc = garbage_round_keeps(round, d, err);

    *until = 0;
    if (rc == 0)
        return find_end_of_lease(round, d, r, until, err);
    if (rc == 1 && round->trashed > 0 &&
        garbage_history_keeps(round->reg, &round->gone, d, until, err) < 0)
        return -1;
    return rc;
}

static int
go_through_blobs(struct garbage_round *round, const struct blob_page *p, struct err *err)
{
    struct blob_group g = {.n = 0};
    uint64_t until;

    for (size_t i = 0; i < p->n; i++) {
        const struct digest *d = &p->v[i].digest;
        int kept = judge_blob(round, d, &p->v[i].r, &until, err);

        if (kept < 0)
            return -1;
        if (until != 0)
            tell_waiting_blob(round, d, p->v[i].r.size, until, kept == 1);
        if (until != 0 || kept == 1)
            continue;
        g.v[g.n].digest = *d;
        g.sizes[g.n++] = p->v[i].r.size;
        if (g.n == GARBAGE_GROUP && collect_blob_group(round, &g, err) != 0)
            return -1;
    }
    return collect_blob_group(round, &g, err);
}

static int
collect_all_blobs(struct garbage_round *round, struct err *err)
{
    struct blob_page p = {.n = PAGE};
    struct digest after = {.algo = DIGEST_NONE};
    uint64_t seen = 0;

    while (p.n == PAGE && !garbage_round_is_over(round)) {
        p.n = 0;
        if (tbl_blob_each(kv_reads(round->reg->kv), &after, add_blob_to_page, &p, err) != 0 ||
            go_through_blobs(round, &p, err) != 0)
            return -1;
        if (p.n > 0)
            after = p.v[p.n - 1].digest;
        seen += p.n;
        round->show("blobs", seen, round->arg);
    }
    return 0;
}

/* ---- all of it ---- */

static int
run_round_parts(struct garbage_round *round, struct err *err)
{
    int rc = 1;

    while (rc == 1 && !round->dry_run && !garbage_round_is_over(round))
        rc = garbage_forget(round->reg, err);
    if (rc < 0 || (round->has_untagged && delete_untagged(round, err) != 0) ||
        tell_deleted_manifests(round, err) != 0 || sweep_files(round, err) != 0 ||
        round->reg->foreign->collect_round(round, err) != 0 || collect_all_blobs(round, err) != 0)
        return -1;
    return round->dry_run ? 0 : remove_files(round, err);
}

int
garbage_round_run(struct garbage_round *round, struct err *err)
{
    int rc = run_round_parts(round, err);

    gone_set_free(&round->gone);
    gone_set_free(&round->told);
    return rc;
}
