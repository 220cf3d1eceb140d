#include "domain/core/garbage.h"
#include "domain/core/delete.h"
#include "domain/core/foreign_images.h"
#include "domain/core/lease.h"
#include "storage/files/blob_file.h"
#include "storage/layers/index_file.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "util/clock.h"
#include "util/log.h"

/* Jobs, and orphaned files, of one step. */
#define BATCH 100

/* A download that was answered may be about to open the file. */
#define UNLINK_AFTER_MS 60000

/* A file that is older than this and has no record won't get one any more. */
#define SWEEP_AGE_S 3600

static int
put_unlink_job(struct txn *t, const struct digest *d, uint64_t instance, struct err *err)
{
    struct job j = {.kind = JOB_UNLINK, .due = clock_wall_ms() + UNLINK_AFTER_MS, .digest = *d};
    struct rec_job r = {.instance = instance};

    return tbl_job_put(t, &j, &r, err);
}

/* ---- the jobs ---- */

/* That nothing keeps the blob, and that its lease is over, is seen in the transaction that deletes
 * it. */
static int
collect_blob(struct txn *t, void *arg, struct err *err)
{
    const struct job *j = arg;
    uint64_t now = clock_wall_ms();
    struct rec_blob r;
    int found = tbl_blob_get_for_update(t, &j->digest, &r, err);
    int kept = found == 1 ? tbl_edge_kept(t, &j->digest, err) : found;

    if (kept < 0)
        return -1;
    if (found == 1 && kept == 0 && r.leased_until <= now) {
        if (tbl_blob_drop(t, &j->digest, err) != 0 ||
            tbl_edge_delete_all(t, &j->digest, err) != 0 ||
            put_unlink_job(t, &j->digest, r.instance, err) != 0)
            return -1;
    }
    if (tbl_job_drop(t, j, err) != 0)
        return -1;
    /* Last: after a step of the clock this may be the very job that was deleted. */
    if (found == 1 && kept == 0 && r.leased_until > now)
        return lease_look_at(t, &j->digest, r.leased_until, err);
    return 0;
}

static int
delete_job(struct txn *t, void *arg, struct err *err)
{
    return tbl_job_drop(t, arg, err);
}

/* The index of a layer goes with it, unless the layer was pushed again in the meantime. */
static int
remove_blob_file(const struct registry *reg, const struct digest *d, uint64_t instance,
                 struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), d, &r, err);

    if (blob_file_unlink(reg->dirfd, d, instance, err) != 0 || rc < 0)
        return -1;
    return rc == 0 ? index_file_remove(reg->dirfd, d, err) : 0;
}

static int
do_garbage_job(const struct registry *reg, struct job *j, const struct rec_job *r, struct err *err)
{
    if (j->kind == JOB_COLLECT && j->digest.algo == DIGEST_V1_ID)
        return reg->foreign->collect(reg, j, err);
    if (j->kind == JOB_COLLECT)
        return txn_run(reg->kv, collect_blob, j, err);
    if (j->kind == JOB_FORGET && delete_derived(reg, r->instance, &j->digest, err) != 0)
        return -1;
    if (j->kind == JOB_UNLINK && remove_blob_file(reg, &j->digest, r->instance, err) != 0)
        log_line(LOG_WARN, "garbage can't be removed", "why=%s", err->message);
    return txn_run(reg->kv, delete_job, j, err);
}

struct due_jobs {
    uint64_t now;
    struct job jobs[BATCH];
    struct rec_job records[BATCH];
    size_t n;
};

static int
collect_due_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct due_jobs *due = arg;

    (void)err;
    if (j->due > due->now)
        return 1;
    due->jobs[due->n] = *j;
    due->records[due->n] = *r;
    due->n++;
    return due->n == BATCH;
}

static int
do_due_jobs(const struct registry *reg, enum job_kind kind, struct err *err)
{
    struct due_jobs due = {.now = clock_wall_ms()};

    if (tbl_job_each(kv_reads(reg->kv), kind, collect_due_job, &due, err) != 0)
        return -1;
    for (size_t i = 0; i < due.n; i++)
        if (do_garbage_job(reg, &due.jobs[i], &due.records[i], err) != 0)
            return -1;
    return 0;
}

int
garbage_step(const struct registry *reg, struct err *err)
{
    if (do_due_jobs(reg, JOB_FORGET, err) != 0 || do_due_jobs(reg, JOB_COLLECT, err) != 0)
        return -1;
    return do_due_jobs(reg, JOB_UNLINK, err);
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

static int
collect_orphan(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
               struct err *err)
{
    struct orphans *o = arg;
    struct rec_blob r;
    int rc;

    if (age_s < SWEEP_AGE_S)
        return 0;
    rc = tbl_blob_get(kv_reads(o->reg->kv), d, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 1 && r.instance == instance)
        return 0;
    o->v[o->n++] = (struct orphan){*d, instance};
    return o->n == BATCH;
}

/* Not at once: a record may have gone this moment, and a download may be about to open its file. */
static int
put_unlink_jobs(struct txn *t, void *arg, struct err *err)
{
    const struct orphans *o = arg;

    for (size_t i = 0; i < o->n; i++)
        if (put_unlink_job(t, &o->v[i].digest, o->v[i].instance, err) != 0)
            return -1;
    return 0;
}

/* A layer may have gone while it was indexed. A process that has the index open reads on. */
static int
remove_index_without_layer(const struct digest *layer, void *arg, struct err *err)
{
    const struct registry *reg = arg;
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), layer, &r, err);

    return rc != 0 ? (rc < 0 ? -1 : 0) : index_file_remove(reg->dirfd, layer, err);
}

int
garbage_sweep(const struct registry *reg, unsigned directory, struct err *err)
{
    struct registry copy = *reg;
    struct orphans o = {.reg = reg};

    if (blob_file_each(reg->dirfd, directory, collect_orphan, &o, err) != 0 ||
        index_file_each(reg->dirfd, directory, remove_index_without_layer, &copy, err) != 0)
        return -1;
    return o.n > 0 ? txn_run(reg->kv, put_unlink_jobs, &o, err) : 0;
}
