#include "domain/core/upkeep.h"
#include "domain/core/garbage.h"
#include "domain/core/history_end.h"
#include "domain/core/upload_expiry.h"
#include "domain/events/event.h"
#include "storage/files/blob_remote.h"
#include "storage/files/disk_space.h"
#include "storage/files/upload_dir.h"
#include "util/clock.h"
#include "util/log.h"

#define UPLOADS_EACH_MS 2000
/* The expiry of uploads while the disk is full. */
#define UPLOADS_SHORT_MS (10ull * 60 * 1000)
/* The thousand directories of bodies are searched rarely; more often while there are bodies. */
#define BODIES_EACH_MS (5ull * 60 * 1000)
#define EVENTS_EACH_MS 4000
/* Events are trimmed for this long in one step. */
#define EVENTS_MS 50
/* The walk over all manifests: how often it goes on and for how long, and the pause after it. */
#define UNTAGGED_EACH_MS 1000
#define UNTAGGED_MS 20
#define UNTAGGED_PAUSE_MS 60000
/* Pause after each directory of layers/, and how many times as long as the directory took: the
 * sweep of a large store takes no more than this part of the time. */
#define SWEEP_EACH_MS 4000
#define SWEEP_SHARE 20
/* Copies of objects are looked at in parts, by the first byte of their digest: all of them in about
 * a quarter of an hour. */
#define COPIES_EACH_MS 4000
#define COPIES_PARTS 256
/* Garbage is collected for this long in one step. The other work of the keeper comes in between,
 * and then a pause of half that time for those who need the same core, disk or pages. */
#define COLLECT_MS 100
/* Garbage that comes piece by piece is collected in pieces of this length. */
#define COLLECT_PAUSE_MS 1000

/* Returns true if the work is due, and then sets the next time. */
static bool
is_upkeep_due(uint64_t *next, uint64_t each)
{
    uint64_t now = clock_mono_ms();

    if (now < *next)
        return false;
    *next = now + each;
    return true;
}

/* Files that can't be removed now are no danger: the failure is logged, and the work goes on. */
static void
log_upkeep_failure(int rc, const struct err *err)
{
    if (rc != 0)
        log_line(LOG_WARN, "upkeep left something for the next time", "why=%s", err->message);
}

static void
tend_uploads(struct upkeep *u, const struct registry *reg, struct err *err)
{
    struct registry now = *reg;
    bool is_short = disk_space_check(reg->dirfd, 0, err) != 0;
    size_t bodies = 0;

    if (is_short && now.upload_expiry_ms > UPLOADS_SHORT_MS)
        now.upload_expiry_ms = UPLOADS_SHORT_MS;
    if (is_short || clock_mono_ms() >= u->next_bodies_ms) {
        log_upkeep_failure(upload_dir_sweep_bodies(reg->dirfd, &bodies, err), err);
        u->next_bodies_ms = bodies > 0 ? 0 : clock_mono_ms() + BODIES_EACH_MS;
    }
    log_upkeep_failure(upload_expiry_run(&now, err), err);
}

void
upkeep_look_for_bodies(struct upkeep *u)
{
    u->next_bodies_ms = 0;
}

/* Is it time to collect garbage? After --gc-interval in any case, because the clock may have been
 * set; earlier when a job is due. Notes when the keeper has to look again. 1, 0, -1. */
static int
is_garbage_due(struct upkeep *u, const struct registry *reg, struct err *err)
{
    uint64_t now = clock_mono_ms(), wall = clock_wall_ms(), due, at = now;

    if (garbage_due(reg, &due, err) != 0)
        return -1;
    if (due > wall)
        at = due - wall < UINT64_MAX / 2 ? now + (due - wall) : UINT64_MAX;
    if (at < u->next_collect_ms)
        at = u->next_collect_ms;
    if (at > u->next_jobs_ms)
        at = u->next_jobs_ms;
    u->wake_ms = at;
    return at <= now;
}

static int
collect_garbage(struct upkeep *u, const struct registry *reg, struct err *err)
{
    uint64_t began = clock_mono_ms(), now;
    int rc = is_garbage_due(u, reg, err);

    if (rc != 1)
        return rc;
    do {
        rc = garbage_step(reg, err);
        now = clock_mono_ms();
    } while (rc == 1 && now - began < COLLECT_MS);
    u->next_jobs_ms = rc == 1 ? now + (now - began) / 2 : began + reg->gc_interval_ms;
    u->next_collect_ms = rc == 0 ? began + COLLECT_PAUSE_MS : u->next_jobs_ms;
    return rc < 0 || is_garbage_due(u, reg, err) < 0 ? -1 : 0;
}

/* If there are many, it goes on soon: they are trimmed as fast as they come. */
static int
trim_events(struct upkeep *u, const struct registry *reg, struct err *err)
{
    uint64_t began = clock_mono_ms();
    int rc;

    do {
        rc = event_trim(reg, reg->event_keep_ms, EVENT_KEPT_MAX, err);
    } while (rc == 1 && clock_mono_ms() - began < EVENTS_MS);
    if (rc == 1)
        u->next_events_ms = clock_mono_ms() + EVENTS_MS;
    return rc < 0 ? -1 : 0;
}

/* This takes the same time however many repositories there are. */
static int
collect_untagged(struct upkeep *u, const struct registry *reg, struct err *err)
{
    const struct untagged_rule rule = {.age_ms = reg->gc_untagged_ms};
    uint64_t began = clock_mono_ms(), pause;
    int rc;

    if (reg->gc_untagged_ms == 0 || !is_upkeep_due(&u->next_untagged_ms, UNTAGGED_EACH_MS))
        return 0;
    do {
        rc = untagged_step(reg, &u->untagged, &rule, err);
    } while (rc == 1 && clock_mono_ms() - began < UNTAGGED_MS);
    pause = reg->gc_interval_ms < UNTAGGED_PAUSE_MS ? reg->gc_interval_ms : UNTAGGED_PAUSE_MS;
    if (rc == 0)
        u->next_untagged_ms = clock_mono_ms() + pause;
    return rc < 0 ? -1 : 0;
}

static int
sweep(struct upkeep *u, const struct registry *reg, struct err *err)
{
    uint64_t began = clock_mono_ms(), took;

    if (repository_sweep(reg, &u->repositories, err) != 0 ||
        history_end_trim(reg, &u->histories, err) != 0)
        return -1;
    /* One directory each time: all of them in about half an hour. */
    log_upkeep_failure(garbage_sweep(reg, u->sweep_at, err), err);
    u->sweep_at = (u->sweep_at + 1) % DIGEST_DIRECTORIES;
    took = clock_mono_ms() - began;
    if (u->next_sweep_ms < began + SWEEP_SHARE * took)
        u->next_sweep_ms = began + SWEEP_SHARE * took;
    return 0;
}

void
upkeep_step_own(struct upkeep *u, const struct registry *reg)
{
    struct err err;

    if (blob_remote_is(reg->blobs) && is_upkeep_due(&u->next_copies_ms, COPIES_EACH_MS))
        log_upkeep_failure(garbage_sweep_copies(reg, u->copies_at++ % COPIES_PARTS, &err), &err);
    if (is_upkeep_due(&u->next_uploads_ms, UPLOADS_EACH_MS))
        tend_uploads(u, reg, &err);
}

int
upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err)
{
    u->wake_ms = UINT64_MAX;
    if (!u->named && repository_name_all(reg, err) != 0)
        return -1;
    u->named = true;
    upkeep_step_own(u, reg);
    if (collect_garbage(u, reg, err) != 0)
        return -1;
    if (is_upkeep_due(&u->next_events_ms, EVENTS_EACH_MS) && trim_events(u, reg, err) != 0)
        return -1;
    if (collect_untagged(u, reg, err) != 0)
        return -1;
    return is_upkeep_due(&u->next_sweep_ms, SWEEP_EACH_MS) ? sweep(u, reg, err) : 0;
}
