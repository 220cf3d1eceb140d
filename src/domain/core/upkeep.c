#include "domain/core/upkeep.h"
#include "domain/core/garbage.h"
#include "domain/core/upload.h"
#include "domain/events/event.h"
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
#define SWEEP_EACH_MS 4000

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
    log_upkeep_failure(upload_expire(&now, err), err);
}

void
upkeep_look_for_bodies(struct upkeep *u)
{
    u->next_bodies_ms = 0;
}

/* If one step can't do all of it, half of the time is left for others. */
static int
collect_garbage(struct upkeep *u, const struct registry *reg, struct err *err)
{
    uint64_t began = clock_mono_ms();
    int rc = garbage_step(reg, err);

    if (rc == 1)
        u->next_jobs_ms = 2 * clock_mono_ms() - began;
    return rc < 0 ? -1 : 0;
}

int
upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err)
{
    if (!u->named && repository_name_all(reg, err) != 0)
        return -1;
    u->named = true;
    if (is_upkeep_due(&u->next_uploads_ms, UPLOADS_EACH_MS))
        tend_uploads(u, reg, err);
    if (is_upkeep_due(&u->next_jobs_ms, reg->gc_interval_ms) && collect_garbage(u, reg, err) != 0)
        return -1;
    if (is_upkeep_due(&u->next_events_ms, EVENTS_EACH_MS) &&
        event_trim(reg, reg->event_keep_ms, err) != 0)
        return -1;
    if (!is_upkeep_due(&u->next_sweep_ms, SWEEP_EACH_MS))
        return 0;
    if (repository_sweep(reg, &u->repositories, err) != 0)
        return -1;
    /* One directory each time: all of them in about half an hour. */
    log_upkeep_failure(garbage_sweep(reg, u->sweep_at, err), err);
    u->sweep_at = (u->sweep_at + 1) % DIGEST_DIRECTORIES;
    return 0;
}
