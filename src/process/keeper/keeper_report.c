#include "process/keeper/keeper_report.h"
#include <stdlib.h>
#include <string.h>
#include "domain/backup/snapshot.h"
#include "domain/core/quota.h"
#include "domain/core/store.h"
#include "domain/metrics/metrics.h"
#include "storage/files/blob_remote.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_meta.h"
#include "storage/tables/tbl_tally.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"

/* No sign of the keeper for this long: it hangs. A round comes every four seconds. */
#define KEEPER_PATIENCE_MS 15000
/* The herald is away, or doesn't take events, for this long. */
#define HERALD_PATIENCE_MS 15000
/* Beyond the time limit of a hook, or the limit of processor time of a layer. */
#define PATIENCE_MORE_MS 60000
/* Failures of the indexer in a row, which take half a minute: the machine is in trouble. */
#define PAUSES_MAX 5
/* The census: milliseconds of one call, its part of the time, and the pause after it. */
#define CENSUS_MS 30
#define CENSUS_SHARE 20
#define CENSUS_FIRST_SHARE 4 /* of the first one: nothing is known before its end */
#define CENSUS_PAUSE 100
#define CENSUS_LEAST_MS 3000
/* In a database elsewhere each read is a flight. There the pause is longer, and lasts until there
 * is a new event, or until this time is over: blobs come without an event. */
#define CENSUS_FAR_MS 60000
#define CENSUS_UNCHANGED_MS (15u * 60 * 1000)
/* The findings are written down this often, if they have changed. */
#define CENSUS_KEEP_MS 30000
/* Jobs and owners of uploads that are counted, at most. */
#define COUNT_MAX 10000
/* S3 is asked this often. */
#define BLOBS_EACH_MS 10000
#define BLOBS_PATIENCE_MS 60000

static void
tell(const struct keeper_report *r, enum metric metric, uint64_t value)
{
    metrics_tell(&r->server->metrics, metric, value);
}

/* ---- the database ---- */

/* answers: the database has just done so. */
static void
report_store(const struct keeper_report *r, struct readiness *ready, bool answers)
{
    struct err err;
    int rc = answers ? 0 : store_answers(r->reg, &err);

    if (rc == 0 && !r->reg->read_only)
        rc = store_check_files(r->reg, NULL, &err);
    /* A full disk is a part of its own. */
    if ((rc == 0 || err.code == ERR_NO_SPACE) && r->node.why[0] != '\0')
        readiness_tell_ill(ready, READINESS_DATABASE, r->node.why);
    else if (rc == 0 || err.code == ERR_NO_SPACE)
        readiness_tell_well(ready, READINESS_DATABASE);
    else
        readiness_tell_ill(ready, READINESS_DATABASE, err.message);
}

static void
count_flights(struct keeper_report *r)
{
    uint64_t now = kv_flights(r->reg->kv);

    metrics_count(r->reg->counts, METRIC_ROUND_TRIPS, METRICS_KEEPER, now - r->flights);
    r->flights = now;
}

/* Whether S3 answers: one small request, which waits for a few seconds at most. */
static void
report_blobs(struct keeper_report *r, struct readiness *ready)
{
    uint64_t now = clock_mono_ms();
    struct err err;

    if (!blob_remote_is(r->reg->blobs) || now < r->asked_ms + BLOBS_EACH_MS)
        return;
    if (blob_store_ask(r->reg->blobs, &err) == 0) {
        readiness_tell_well(ready, READINESS_BLOBS);
        if (r->is_blobs_ill)
            log_line(LOG_INFO, "S3 answers again", NULL);
        r->is_blobs_ill = false;
    } else {
        readiness_tell_ill(ready, READINESS_BLOBS, err.message);
        if (!r->is_blobs_ill)
            log_line(LOG_ERROR, "S3 doesn't answer as it should", "why=%s", err.message);
        r->is_blobs_ill = true;
    }
    r->asked_ms = clock_mono_ms();
}

static int
report_stats(const struct keeper_report *r, struct err *err)
{
    struct kv_stats stats;

    if (kv_stats(r->reg->kv, &stats, err) != 0)
        return -1;
    tell(r, METRIC_CACHE_HITS, stats.cache_hits);
    tell(r, METRIC_CACHE_MISSES, stats.cache_misses);
    tell(r, METRIC_DEADLOCKS, stats.deadlocks);
    tell(r, METRIC_LOG_BYTES, stats.log_bytes);
    return 0;
}

struct tally_sum {
    uint64_t n, seen;
};

static int
add_tally(uint64_t repo, uint64_t n, void *arg, struct err *err)
{
    struct tally_sum *sum = arg;

    (void)repo;
    (void)err;
    sum->n += n;
    return ++sum->seen == COUNT_MAX;
}

static int
report_tallies(const struct keeper_report *r, struct err *err)
{
    const struct tally all = {.kind = TALLY_REPOSITORIES};
    struct tally_sum uploads = {0};
    uint64_t repositories = 0, backup, retained;
    int rc = tbl_meta_get(kv_reads(r->reg->kv), META_BACKUP, &backup, err);
    int has_ended = tbl_meta_get(kv_reads(r->reg->kv), META_RETAIN_ENDED, &retained, err);

    if (rc < 0 || has_ended < 0 ||
        tbl_tally_get(kv_reads(r->reg->kv), &all, &repositories, err) < 0 ||
        tbl_tally_each(kv_reads(r->reg->kv), TALLY_UPLOADS, 0, add_tally, &uploads, err) != 0)
        return -1;
    tell(r, METRIC_REPOSITORIES, repositories);
    if (rc == 1)
        tell(r, METRIC_BACKUP_AT, backup);
    if (has_ended == 1)
        tell(r, METRIC_RETENTION_AT, retained);
    tell(r, METRIC_UPLOADS, uploads.n);
    return 0;
}

struct quota_report {
    const struct metrics *to;
    unsigned n;
};

static void
report_quota(const struct rec_quota *q, void *arg)
{
    struct quota_report *out = arg;

    metrics_tell_quota(out->to, out->n++, q->pattern, q->used, q->limit);
}

_Static_assert(METRICS_QUOTAS_MAX == QUOTA_MAX, "each quota has its numbers");
_Static_assert(METRICS_PATTERN_MAX == RECORD_REPOSITORY_MAX + 1, "patterns fit");

static int
report_quotas(const struct keeper_report *r, struct err *err)
{
    struct quota_report out = {.to = &r->server->metrics};

    if (quota_each(r->reg, NULL, report_quota, &out, err) != 0)
        return -1;
    metrics_tell_quotas(&r->server->metrics, out.n);
    return 0;
}

/* Looks at the directory only when it has changed. */
static int
report_snapshots(struct keeper_report *r, struct err *err)
{
    struct snapshots s;
    struct stat now;
    uint64_t seconds;
    int rc;

    fdio_look(r->reg->dirfd, "snapshots", &now);
    if (fdio_same_file(&now, &r->snapshots))
        return 0;
    rc = snapshot_list(r->reg->dirfd, &s, err);
    if (rc == 0) {
        r->snapshots = now;
        tell(r, METRIC_SNAPSHOTS, s.n);
        if (s.n > 0 && backup_info_seconds(s.names[s.n - 1], &seconds))
            tell(r, METRIC_SNAPSHOT_AT, seconds * 1000);
    }
    free(s.names);
    return rc;
}

/* ---- the census ---- */

static void
tell_census(const struct keeper_report *r, const struct census_numbers *n, uint64_t at_ms)
{
    tell(r, METRIC_TAGS, n->tags);
    tell(r, METRIC_BLOBS, n->blobs);
    tell(r, METRIC_BLOB_BYTES, n->bytes);
    tell(r, METRIC_SHARED_BYTES, n->shared_bytes);
    tell(r, METRIC_COUNTED_AT, at_ms);
}

/* Until the first census ends, the numbers are those of the last one before. */
static int
recall_census(struct keeper_report *r, struct err *err)
{
    uint64_t at_ms;
    int rc;

    if (r->is_recalled)
        return 0;
    rc = census_last(r->reg, &r->kept, &at_ms, err);
    if (rc < 0)
        return -1;
    r->is_recalled = true;
    if (rc == 1)
        tell_census(r, &r->kept, at_ms);
    return 0;
}

static int
keep_census(struct keeper_report *r, const struct census_numbers *n, struct err *err)
{
    uint64_t now = clock_mono_ms();

    if (r->reg->read_only || r->follows || now < r->kept_at || memcmp(n, &r->kept, sizeof *n) == 0)
        return 0;
    if (census_keep(r->reg, n, clock_wall_ms(), err) != 0)
        return -1;
    r->kept = *n;
    r->kept_at = now + CENSUS_KEEP_MS;
    return 0;
}

static bool
is_census_needless(struct keeper_report *r, uint64_t now)
{
    if (r->census_ms > 0) /* it has begun */
        return false;
    if (kv_is_remote(r->reg->kv) && r->is_counted && r->counted_event == r->event &&
        now < r->census_due)
        return true;
    r->counted_event = r->event;
    r->census_due = now + CENSUS_UNCHANGED_MS;
    return false;
}

static uint64_t
census_pause(const struct keeper_report *r)
{
    uint64_t pause = r->census_ms * CENSUS_PAUSE;
    uint64_t least = kv_is_remote(r->reg->kv) ? CENSUS_FAR_MS : CENSUS_LEAST_MS;

    return pause > least ? pause : least;
}

/* Goes on for a twentieth of the time, at first for a quarter, and pauses for a hundred times as
 * long as the whole took: it reads all of two tables, which then are in the cache instead of what
 * pulls need. */
static int
report_census(struct keeper_report *r, struct err *err)
{
    uint64_t began = clock_mono_ms(), took;
    struct census_numbers n;
    int rc = 1;

    if (recall_census(r, err) != 0)
        return -1;
    if (began < r->census_at || is_census_needless(r, began))
        return 0;
    while (rc == 1 && clock_mono_ms() - began < CENSUS_MS)
        rc = census_step(&r->census, r->reg, &n, err);
    took = clock_mono_ms() - began;
    r->census_ms += took;
    r->census_at = began + took * (r->is_counted ? CENSUS_SHARE : CENSUS_FIRST_SHARE);
    if (rc > 0)
        return 0;
    r->census_at = clock_mono_ms() + census_pause(r);
    r->census_ms = 0;
    if (rc < 0)
        return -1;
    tell_census(r, &n, clock_wall_ms());
    r->is_counted = true;
    return keep_census(r, &n, err);
}

uint64_t
keeper_report_due(const struct keeper_report *r)
{
    return r->census_ms > 0 ? r->census_at : UINT64_MAX;
}

/* ---- queues ---- */

struct job_count {
    uint64_t now, due, n;
};

static int
count_job(const struct job *j, const struct rec_job *record, void *arg, struct err *err)
{
    struct job_count *c = arg;

    (void)record;
    (void)err;
    c->due += j->due <= c->now;
    return ++c->n == COUNT_MAX;
}

/* Those that are due come first. */
static int
count_jobs(const struct keeper_report *r, const enum job_kind *kinds, size_t n, uint64_t *all,
           uint64_t *due, struct err *err)
{
    struct job_count c = {.now = clock_wall_ms()};

    for (size_t i = 0; i < n && c.n < COUNT_MAX; i++)
        if (tbl_job_each(kv_reads(r->reg->kv), kinds[i], count_job, &c, err) != 0)
            return -1;
    *all = c.n;
    *due = c.due;
    return 0;
}

static int
report_garbage(const struct keeper_report *r, struct err *err)
{
    static const enum job_kind kinds[] = {JOB_UNLINK, JOB_FORGET, JOB_COLLECT};
    uint64_t all, due;

    if (count_jobs(r, kinds, sizeof kinds / sizeof *kinds, &all, &due, err) != 0)
        return -1;
    tell(r, METRIC_GARBAGE_WAITING, due);
    if (due == 0)
        tell(r, METRIC_GARBAGE_AT, clock_wall_ms());
    return 0;
}

static int
report_indexer(struct keeper_report *r, const struct indexer *x, struct readiness *ready,
               struct err *err)
{
    static const enum job_kind kinds[] = {JOB_INDEX, JOB_INDEX_IMAGE};
    struct indexer_state state;
    uint64_t all, due;

    indexer_look(x, &state);
    if (count_jobs(r, kinds, sizeof kinds / sizeof *kinds, &all, &due, err) != 0)
        return -1;
    tell(r, METRIC_INDEX_WAITING, all);
    tell(r, METRIC_INDEX_RUNNING, state.running);
    if (state.pauses > PAUSES_MAX)
        readiness_tell_ill(ready, READINESS_INDEXER, "indexing layers fails: see the log");
    else if (due == 0 || state.ended != r->layers_ended || r->met_ms == 0)
        readiness_tell_well(ready, READINESS_INDEXER); /* r->met_ms: not before the first look */
    r->layers_ended = state.ended;
    return 0;
}

static int
report_hooks(struct keeper_report *r, const struct herald_client *c, struct readiness *ready,
             struct err *err)
{
    uint64_t now = clock_mono_ms(), waiting;
    bool is_first = r->met_ms == 0;
    uint32_t last;

    if (tbl_event_last(kv_reads(r->reg->kv), &last, err) < 0)
        return -1;
    r->event = last;
    waiting = last > c->marks.told ? last - c->marks.told : 0;
    tell(r, METRIC_EVENTS_WAITING, waiting);
    tell(r, METRIC_HOOKS_WAITING, c->queue.waiting);
    tell(r, METRIC_HOOKS_RUNNING, c->held_n);
    if (c->met || is_first)
        r->met_ms = now;
    if (now - r->met_ms > HERALD_PATIENCE_MS)
        readiness_tell_ill(ready, READINESS_HOOKS, "the process that runs hooks isn't there");
    else if (is_first || c->ended != r->hooks_ended ||
             (waiting == 0 && c->held_n == 0 && hook_queue_wait_ms(&c->queue) > 0))
        readiness_tell_well(ready, READINESS_HOOKS);
    r->hooks_ended = c->ended;
    return 0;
}

/* ---- the whole ---- */

static void
set_patience(const struct options *o, bool is_remote, struct readiness *ready)
{
    readiness_set_patience(ready, READINESS_KEEPER, KEEPER_PATIENCE_MS);
    readiness_set_patience(ready, READINESS_DATABASE, KEEPER_PATIENCE_MS);
    readiness_set_patience(ready, READINESS_INDEXER, 2 * o->index_time_ms + PATIENCE_MORE_MS);
    readiness_set_patience(ready, READINESS_HOOKS, o->hook_timeout_ms + PATIENCE_MORE_MS);
    readiness_set_patience(ready, READINESS_BLOBS, is_remote ? BLOBS_PATIENCE_MS : UINT64_MAX);
}

static int
report_contents(struct keeper_report *r, struct err *err)
{
    return report_stats(r, err) != 0 || report_tallies(r, err) != 0 || report_quotas(r, err) != 0 ||
                   report_snapshots(r, err) != 0 || report_census(r, err) != 0
               ? -1
               : 0;
}

/* What goes on between two looks at the store. */
static int
report_progress(struct keeper_report *r, const struct herald_client *c, struct err *err)
{
    if (c != NULL && c->met)
        r->met_ms = clock_mono_ms();
    return r->census_ms > 0 ? report_census(r, err) : 0;
}

/* All that is read of the store, but for the census. */
static void
expect_numbers(const struct keeper_report *r)
{
    static const enum job_kind kinds[] = {JOB_UNLINK, JOB_FORGET, JOB_COLLECT, JOB_INDEX,
                                          JOB_INDEX_IMAGE};
    const struct tally all = {.kind = TALLY_REPOSITORIES};
    struct txn *t = kv_reads(r->reg->kv);

    tbl_meta_expect(t, META_BACKUP);
    tbl_meta_expect(t, META_RETAIN_ENDED);
    tbl_tally_expect(t, &all);
    tbl_tally_expect_each(t, TALLY_UPLOADS);
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
        tbl_job_expect_each(t, kinds[i]);
}

/* Nothing is pushed, indexed or told there. */
static int
report_read_only(struct keeper_report *r, struct readiness *ready, struct err *err)
{
    readiness_set_patience(ready, READINESS_DISK, UINT64_MAX);
    readiness_tell_well(ready, READINESS_INDEXER);
    readiness_tell_well(ready, READINESS_HOOKS);
    return report_contents(r, err);
}

/* What the leader does isn't known here. */
static int
report_follower(struct keeper_report *r, struct readiness *ready, struct err *err)
{
    static const enum metric of_leader[] = {
        METRIC_EVENTS_WAITING, METRIC_HOOKS_WAITING, METRIC_HOOKS_RUNNING,
        METRIC_INDEX_WAITING,  METRIC_INDEX_RUNNING, METRIC_GARBAGE_WAITING,
    };

    for (size_t i = 0; i < sizeof of_leader / sizeof *of_leader; i++)
        tell(r, of_leader[i], 0);
    readiness_tell_well(ready, READINESS_INDEXER);
    readiness_tell_well(ready, READINESS_HOOKS);
    return report_contents(r, err);
}

bool
keeper_report_step(struct keeper_report *r, const struct herald_client *herald,
                   const struct indexer *indexer, bool looks)
{
    struct readiness *ready = metrics_readiness(&r->server->metrics);
    struct err err;
    bool is_known;
    int rc;

    if (herald != NULL && indexer == NULL)
        return false;
    set_patience(r->server->options, blob_remote_is(r->reg->blobs), ready);
    readiness_tell_well(ready, READINESS_KEEPER);
    count_flights(r);
    is_known = node_report_step(&r->node, r->server, r->reg);
    report_blobs(r, ready);
    if (looks)
        expect_numbers(r);
    report_store(r, ready, is_known);
    if (r->server->options->database != NULL)
        tell(r, METRIC_LEADER, !r->follows);
    if (!looks)
        rc = report_progress(r, herald, &err);
    else if (r->follows)
        rc = report_follower(r, ready, &err);
    else if (herald == NULL)
        rc = report_read_only(r, ready, &err);
    else if ((rc = report_contents(r, &err)) == 0 && (rc = report_garbage(r, &err)) == 0 &&
             (rc = report_indexer(r, indexer, ready, &err)) == 0)
        rc = report_hooks(r, herald, ready, &err);
    kv_expect_end(kv_reads(r->reg->kv));
    if (rc != 0)
        log_client_line(LOG_WARN, "numbers for /metrics can't be read", "why=%s", err.message);
    return is_known;
}
