#include "domain/core/garbage.h"
#include "domain/core/index_place.h"
#include "domain/core/delete.h"
#include "domain/core/foreign_images.h"
#include "domain/core/history_end.h"
#include "domain/core/lease.h"
#include "domain/metrics/metrics.h"
#include "domain/core/quota.h"
#include "storage/files/backup_lock.h"
#include "storage/files/blob_cache.h"
#include "storage/files/blob_file.h"
#include "storage/files/blob_remote.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_moment.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"
#include "util/log.h"

/* The commits here don't wait for the disk: a job that a crash brings back is done again. */

/* Jobs of each kind, and orphaned files, of one step. */
#define BATCH 100
/* Objects are removed for this long in one step. */
#define REMOTE_MS 500
/* Blobs deleted in one transaction. Pushes wait for the pages that it locks. */
#define GROUP GARBAGE_GROUP

/* Not at once: a download that was answered may be about to open the file. */
static int
put_unlink_job(struct txn *t, const struct registry *reg, const struct digest *d, uint64_t instance,
               struct err *err)
{
    struct job j = {.kind = JOB_UNLINK, .due = clock_wall_ms() + reg->file_grace_ms, .digest = *d};
    struct rec_job r = {.instance = instance};

    return tbl_job_put(t, &j, &r, err);
}

/* What another node has timed is over for it, too. */
uint64_t
garbage_now(const struct registry *reg)
{
    return clock_wall_ms() - metrics_clock_lag(reg->metrics);
}

/* ---- the jobs ---- */

/* Jobs of one transaction, in the order of their keys. */
struct job_group {
    const struct registry *reg;
    struct job v[BATCH];
    size_t n;
    bool is_gone[GROUP]; /* set by collect_blobs */
};

struct due_jobs {
    uint64_t now;
    struct job_group jobs;
    struct rec_job records[BATCH]; /* of each job */
    bool is_left;                  /* some are left to be done */
};

static int
collect_due_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct due_jobs *due = arg;

    (void)err;
    if (j->due > due->now)
        return 1;
    due->records[due->jobs.n] = *r;
    due->jobs.v[due->jobs.n++] = *j;
    return due->jobs.n == BATCH;
}

static int
drop_jobs(struct txn *t, void *arg, struct err *err)
{
    const struct job_group *g = arg;

    kv_relax(t);
    for (size_t i = 0; i < g->n; i++)
        if (tbl_job_drop(t, &g->v[i], err) != 0)
            return -1;
    return 0;
}

static int
end_jobs(const struct registry *reg, struct job_group *g, struct err *err)
{
    return g->n > 0 ? txn_run(reg->kv, drop_jobs, g, err) : 0;
}

static int
compare_blobs_of_jobs(const void *a, const void *b)
{
    const struct job *x = a, *y = b;

    return digest_compare(&x->digest, &y->digest);
}

/* Deletes those whose lease is over and that nothing keeps, as this transaction sees them. */
static int
collect_blobs(struct txn *t, void *arg, struct err *err)
{
    struct job_group *g = arg;
    struct rec_blob r[GROUP];
    bool is_unkept[GROUP], *is_gone = g->is_gone;
    uint64_t now = garbage_now(g->reg);
    int rc;

    for (size_t i = 0; i < g->n; i++) {
        rc = tbl_blob_get_for_update(t, &g->v[i].digest, &r[i], err);
        if (rc < 0)
            return -1;
        is_unkept[i] = rc == 1;
    }
    for (size_t i = 0; i < g->n; i++) {
        rc = is_unkept[i] ? tbl_edge_kept(t, &g->v[i].digest, err) : 1;
        if (rc < 0)
            return -1;
        is_unkept[i] = rc == 0;
        is_gone[i] = rc == 0 && r[i].leased_until <= now;
    }
    for (size_t i = 0; i < g->n; i++)
        if (is_gone[i] && (tbl_blob_drop(t, &g->v[i].digest, err) != 0 ||
                           quota_discount(t, 0, &g->v[i].digest, r[i].size, err) != 0 ||
                           tbl_edge_delete_all(t, &g->v[i].digest, err) != 0))
            return -1;
    if (drop_jobs(t, arg, err) != 0)
        return -1;
    /* After drop_jobs: if the clock was set back, a new job may have the key of a dropped one. */
    for (size_t i = 0; i < g->n; i++)
        if (is_unkept[i] && !is_gone[i] &&
            lease_look_at(t, &g->v[i].digest, r[i].leased_until, err) != 0)
            return -1;
    for (size_t i = 0; i < g->n; i++)
        if (is_gone[i] && put_unlink_job(t, g->reg, &g->v[i].digest, r[i].instance, err) != 0)
            return -1;
    return 0;
}

static void
count_gone(const struct job_group *g)
{
    uint64_t n = 0;

    for (size_t i = 0; i < g->n; i++)
        n += g->is_gone[i];
    metrics_count(g->reg->counts, METRIC_GARBAGE_FOUND, 0, n);
}

static int
collect_group(const struct registry *reg, struct job_group *g, struct err *err)
{
    int rc;

    if (g->n == 0)
        return 0;
    qsort(g->v, g->n, sizeof *g->v, compare_blobs_of_jobs);
    rc = txn_run(reg->kv, collect_blobs, g, err);
    if (rc == 0)
        count_gone(g);
    g->n = 0;
    return rc;
}

/* Without jobs of their own: those that exist find nothing later. */
int
garbage_collect(const struct registry *reg, struct garbage_blob *v, size_t n, struct err *err)
{
    struct job_group g = {.reg = reg, .n = n};

    for (size_t i = 0; i < n; i++)
        g.v[i] = (struct job){.kind = JOB_COLLECT, .digest = v[i].digest};
    if (n > 0 && txn_run(reg->kv, collect_blobs, &g, err) != 0)
        return -1;
    count_gone(&g);
    for (size_t i = 0; i < n; i++)
        v[i].is_gone = g.is_gone[i];
    return 0;
}

/* Most blobs are kept when their job is due. A transaction that removes the last edge adds another
 * job, so this one can be deleted. */
static int
do_collect_jobs(const struct registry *reg, struct due_jobs *due, struct err *err)
{
    struct job_group kept = {.reg = reg}, unkept = {.reg = reg}, foreign = {.reg = reg};

    for (size_t i = 0; i < due->jobs.n; i++) {
        const struct job *j = &due->jobs.v[i];
        bool is_blob = j->digest.algo != DIGEST_V1_ID;
        int rc = is_blob ? tbl_edge_kept(kv_reads(reg->kv), &j->digest, err) : 0;

        if (rc < 0)
            return -1;
        if (!is_blob)
            foreign.v[foreign.n++] = *j;
        else if (rc == 1)
            kept.v[kept.n++] = *j;
        else
            unkept.v[unkept.n++] = *j;
        if (unkept.n == GROUP && collect_group(reg, &unkept, err) != 0)
            return -1;
    }
    if (collect_group(reg, &unkept, err) != 0 ||
        (foreign.n > 0 && reg->foreign->collect(reg, foreign.v, foreign.n, err) != 0))
        return -1;
    return end_jobs(reg, &kept, err);
}

/* The index of a layer goes with it, unless the layer was pushed again in the meantime. A sweep may
 * have taken a file for an orphan whose record came later, because a clock was wrong. */
static int
remove_blob_file(const struct registry *reg, const struct digest *d, uint64_t instance,
                 struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), d, &r, err);
    uint64_t bytes;

    if (rc < 0 || (rc == 1 && r.instance == instance))
        return rc < 0 ? -1 : 0;
    if (!blob_file_size(reg->blobs, d, instance, &bytes))
        bytes = 0;
    if (blob_file_unlink(reg->blobs, d, instance, err) != 0)
        return -1;
    metrics_count(reg->counts, METRIC_GARBAGE_FREED, 0, 1);
    metrics_count(reg->counts, METRIC_GARBAGE_FREED_BYTES, 0, bytes);
    return rc == 0 ? index_store_remove(index_place(reg), d, err) : 0;
}

/* Objects, each of which takes two requests: for a while only, since the keeper has other work.
 * Once S3 doesn't answer, the rest waits. */
static int
do_remote_unlinks(const struct registry *reg, struct due_jobs *due, struct err *err)
{
    uint64_t until = clock_mono_ms() + REMOTE_MS;
    struct job_group done = {.reg = reg};
    struct err later;
    int rc = 0;

    for (size_t i = 0; rc == 0 && i < due->jobs.n && clock_mono_ms() < until; i++) {
        rc = remove_blob_file(reg, &due->jobs.v[i].digest, due->records[i].instance, err);
        if (rc == 0)
            done.v[done.n++] = due->jobs.v[i];
    }
    due->is_left = done.n < due->jobs.n;
    if (end_jobs(reg, &done, rc == 0 ? err : &later) != 0)
        return -1;
    return rc;
}

/* A file goes when the deletion of its record is durable. The directories aren't synced: a file
 * that comes back after a power loss has no record, so the sweep finds it. */
static int
do_unlink_jobs(const struct registry *reg, struct due_jobs *due, struct err *err)
{
    if (due->jobs.n > 0 && kv_flush(reg->kv, err) != 0)
        return -1;
    if (blob_remote_is(reg->blobs))
        return do_remote_unlinks(reg, due, err);
    for (size_t i = 0; i < due->jobs.n; i++)
        if (remove_blob_file(reg, &due->jobs.v[i].digest, due->records[i].instance, err) != 0)
            log_line(LOG_WARN, "garbage can't be removed", "why=%s", err->message);
    return end_jobs(reg, &due->jobs, err);
}

static int
do_forget_jobs(const struct registry *reg, struct due_jobs *due, struct err *err)
{
    for (size_t i = 0; i < due->jobs.n; i++)
        if (delete_derived(reg, due->records[i].instance, &due->jobs.v[i].digest, err) != 0)
            return -1;
    return end_jobs(reg, &due->jobs, err);
}

static int
do_history_jobs(const struct registry *reg, struct due_jobs *due, struct err *err)
{
    struct job_group done = {.reg = reg};

    for (size_t i = 0; i < due->jobs.n; i++) {
        int rc = history_end_due(reg, &due->jobs.v[i].digest, err);

        if (rc < 0)
            return -1;
        if (rc == 0)
            done.v[done.n++] = due->jobs.v[i];
    }
    return end_jobs(reg, &done, err);
}

bool
garbage_is_held(const struct registry *reg)
{
    struct err ignored;

    return backup_lock_is_held(reg->dirfd) || kv_moment_files_are_held(reg->kv, &ignored) != 0;
}

/* A backup copies the files that its copy of the database names, whatever is deleted meanwhile. A
 * job that is due now was put before a backup that begins now, so the copy doesn't name its file.
 */
static bool
has_to_wait(const struct registry *reg, enum job_kind kind)
{
    return kind == JOB_UNLINK && garbage_is_held(reg);
}

/* Does the jobs of a kind that are due: 1: there may be more, 0, -1. */
static int
do_due_jobs(const struct registry *reg, enum job_kind kind,
            int (*work)(const struct registry *reg, struct due_jobs *due, struct err *err),
            struct err *err)
{
    struct due_jobs due = {.now = garbage_now(reg)};

    if (has_to_wait(reg, kind))
        return 0;
    if (tbl_job_each(kv_reads(reg->kv), kind, collect_due_job, &due, err) != 0 ||
        work(reg, &due, err) != 0)
        return -1;
    return due.jobs.n == BATCH || due.is_left;
}

int
garbage_unlink(const struct registry *reg, struct err *err)
{
    return do_due_jobs(reg, JOB_UNLINK, do_unlink_jobs, err);
}

int
garbage_forget(const struct registry *reg, struct err *err)
{
    int more = do_due_jobs(reg, JOB_FORGET, do_forget_jobs, err), rc;

    if (more < 0)
        return -1;
    rc = do_due_jobs(reg, JOB_HISTORY, do_history_jobs, err);
    return rc != 0 ? rc : more;
}

static const struct {
    enum job_kind kind;
    int (*work)(const struct registry *reg, struct due_jobs *due, struct err *err);
} garbage_kinds[] = {
    {JOB_FORGET, do_forget_jobs},
    {JOB_HISTORY, do_history_jobs},
    {JOB_COLLECT, do_collect_jobs},
    {JOB_UNLINK, do_unlink_jobs},
};

#define GARBAGE_KINDS (sizeof garbage_kinds / sizeof *garbage_kinds)

int
garbage_step(const struct registry *reg, struct err *err)
{
    int more = 0;

    for (size_t i = 0; i < GARBAGE_KINDS; i++) {
        int rc = do_due_jobs(reg, garbage_kinds[i].kind, garbage_kinds[i].work, err);

        if (rc < 0)
            return -1;
        more = more || rc == 1;
    }
    return more;
}

static int
note_first_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    uint64_t *first = arg;

    (void)r;
    (void)err;
    *first = j->due;
    return 1;
}

int
garbage_due(const struct registry *reg, uint64_t *when, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    int rc = 0;

    *when = UINT64_MAX;
    for (size_t i = 0; i < GARBAGE_KINDS; i++)
        tbl_job_expect_each(t, garbage_kinds[i].kind);
    for (size_t i = 0; i < GARBAGE_KINDS && rc == 0; i++) {
        uint64_t first = UINT64_MAX;

        rc = tbl_job_each(t, garbage_kinds[i].kind, note_first_job, &first, err);
        if (first < *when && !has_to_wait(reg, garbage_kinds[i].kind))
            *when = first;
    }
    kv_expect_end(t);
    if (*when != UINT64_MAX)
        *when += metrics_clock_lag(reg->metrics);
    return rc;
}

/* ---- files without a record ---- */

struct orphan {
    struct digest digest;
    uint64_t instance;
};

struct orphans {
    const struct registry *reg;
    struct orphan v[BATCH];
    size_t n;
};

int
garbage_is_orphan(const struct registry *reg, const struct digest *d, uint64_t instance,
                  uint64_t age_s, struct err *err)
{
    struct rec_blob r;
    int rc;

    if (age_s < GARBAGE_SWEEP_AGE_S)
        return 0;
    rc = tbl_blob_get(kv_reads(reg->kv), d, &r, err);
    return rc < 0 ? -1 : rc == 0 || r.instance != instance;
}

static int
collect_orphan(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
               struct err *err)
{
    struct orphans *o = arg;
    int rc = garbage_is_orphan(o->reg, d, instance, age_s, err);

    if (rc != 1)
        return rc;
    o->v[o->n++] = (struct orphan){*d, instance};
    return o->n == BATCH;
}

/* Not at once: a record may be deleted just now, and a download may be about to open its file. */
static int
put_unlink_jobs(struct txn *t, void *arg, struct err *err)
{
    const struct orphans *o = arg;

    for (size_t i = 0; i < o->n; i++)
        if (put_unlink_job(t, o->reg, &o->v[i].digest, o->v[i].instance, err) != 0)
            return -1;
    return 0;
}

/* A layer may be deleted while it is indexed. A process with the index open can still read it. */
static int
remove_index_without_layer(const struct digest *layer, void *arg, struct err *err)
{
    const struct registry *reg = arg;
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), layer, &r, err);

    return rc != 0 ? (rc < 0 ? -1 : 0) : index_store_remove(index_place(reg), layer, err);
}

int
garbage_sweep(const struct registry *reg, unsigned directory, struct err *err)
{
    struct registry copy = *reg;
    struct orphans o = {.reg = reg};

    if (directory == 0 && blob_file_sweep_unfinished(reg->blobs, err) != 0)
        return -1;
    if (blob_file_each(reg->blobs, directory, collect_orphan, &o, err) != 0 ||
        index_store_each(index_place(reg), directory, remove_index_without_layer, &copy, err) != 0)
        return -1;
    return o.n > 0 ? txn_run(reg->kv, put_unlink_jobs, &o, err) : 0;
}

/* ---- copies of objects ---- */

static int
is_copied_blob_known(const struct digest *d, const uint64_t *instance, void *arg, struct err *err)
{
    const struct registry *reg = arg;
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), d, &r, err);

    return rc == 1 && instance != NULL ? r.instance == *instance : rc;
}

int
garbage_sweep_copies(const struct registry *reg, unsigned byte, struct err *err)
{
    struct registry copy = *reg;

    return blob_cache_sweep(reg->blobs, byte, GARBAGE_SWEEP_AGE_S, is_copied_blob_known, &copy,
                            err);
}
