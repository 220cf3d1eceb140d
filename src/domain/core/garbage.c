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
#include "util/banned.h"

#define BATCH 100

/* A download that was answered may be about to open the file. */
#define UNLINK_AFTER_MS 60000

/* A file whose record is still to come was linked less than this ago. */
#define SWEEP_AGE_S 3600

struct due {
    uint64_t now;
    struct job jobs[BATCH];
    struct rec_job records[BATCH];
    size_t n;
};

static int
collect_due_job(const struct job *j, const struct rec_job *r, void *arg, struct err *err)
{
    struct due *due = arg;

    (void)err;
    if (j->due > due->now)
        return 1;
    due->jobs[due->n] = *j;
    due->records[due->n] = *r;
    due->n++;
    return due->n == BATCH;
}

/* ---- a blob that may have lost its last keeper ---- */

static int
put_unlink_job(struct txn *t, const struct digest *d, uint64_t instance, struct err *err)
{
    struct job j = {.kind = JOB_UNLINK, .due = clock_wall_ms() + UNLINK_AFTER_MS, .digest = *d};
    struct rec_job r = {.instance = instance};

    return tbl_job_put(t, &j, &r, err);
}

/* The decision: nothing keeps it and its lease is over, seen and done in one transaction. */
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
    /* Last, because after a step of the clock it may be the same job as the one before. */
    if (found == 1 && kept == 0 && r.leased_until > now)
        return lease_look_at(t, &j->digest, r.leased_until, err);
    return 0;
}

/* ---- what is due ---- */

static int
forget(struct txn *t, void *arg, struct err *err)
{
    return tbl_job_drop(t, arg, err);
}

/* What is derived from a blob goes with it; unless it came again meanwhile. */
static int
remove_file(const struct registry *reg, const struct job *j, uint64_t instance, struct err *err)
{
    struct rec_blob r;
    int rc = tbl_blob_get(kv_reads(reg->kv), &j->digest, &r, err);

    if (blob_file_unlink(reg->dirfd, &j->digest, instance, err) != 0 || rc < 0)
        return -1;
    return rc == 0 ? index_file_remove(reg->dirfd, &j->digest, err) : 0;
}

static int
run_due(const struct registry *reg, enum job_kind kind, struct err *err)
{
    struct due due = {.now = clock_wall_ms()};

    if (tbl_job_each(kv_reads(reg->kv), kind, collect_due_job, &due, err) != 0)
        return -1;
    for (size_t i = 0; i < due.n; i++) {
        struct job *j = &due.jobs[i];

        if (kind == JOB_UNLINK && remove_file(reg, j, due.records[i].instance, err) != 0)
            log_line(LOG_WARN, "garbage can't be removed", "why=%s", err->message);
        if (kind == JOB_FORGET &&
            delete_derived(reg, due.records[i].instance, &j->digest, err) != 0)
            return -1;
        if (kind == JOB_COLLECT && j->digest.algo == DIGEST_V1_ID
                ? reg->foreign->collect(reg, j, err) != 0
                : txn_run(reg->kv, kind == JOB_COLLECT ? collect_blob : forget, j, err) != 0)
            return -1;
    }
    return 0;
}

int
garbage_step(const struct registry *reg, struct err *err)
{
    if (run_due(reg, JOB_FORGET, err) != 0 || run_due(reg, JOB_COLLECT, err) != 0)
        return -1;
    return run_due(reg, JOB_UNLINK, err);
}

/* ---- files without a record ---- */

struct orphan {
    struct digest digest;
    uint64_t instance;
};

struct sweep {
    const struct registry *reg;
    struct orphan orphans[BATCH];
    size_t n;
};

static int
see_file(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct sweep *s = arg;
    struct rec_blob r;
    int rc;

    if (age_s < SWEEP_AGE_S)
        return 0;
    rc = tbl_blob_get(kv_reads(s->reg->kv), d, &r, err);
    if (rc < 0)
        return -1;
    if (rc == 1 && r.instance == instance)
        return 0;
    s->orphans[s->n++] = (struct orphan){*d, instance};
    return s->n == BATCH;
}

/* Not at once: its record may have gone this moment, and a download may be about to open it. */
static int
doom(struct txn *t, void *arg, struct err *err)
{
    const struct sweep *s = arg;

    for (size_t i = 0; i < s->n; i++)
        if (put_unlink_job(t, &s->orphans[i].digest, s->orphans[i].instance, err) != 0)
            return -1;
    return 0;
}

/* Of a layer that went while it was indexed, for one. Whoever has it open reads on. */
static int
see_index(const struct digest *layer, void *arg, struct err *err)
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
    struct sweep s = {.reg = reg};

    if (blob_file_each(reg->dirfd, directory, see_file, &s, err) != 0 ||
        index_file_each(reg->dirfd, directory, see_index, &copy, err) != 0)
        return -1;
    return s.n > 0 ? txn_run(reg->kv, doom, &s, err) : 0;
}
