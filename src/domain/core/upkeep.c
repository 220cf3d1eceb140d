#include "domain/core/upkeep.h"
#include "domain/core/garbage.h"
#include "domain/core/upload.h"
#include "domain/events/event.h"
#include "storage/files/blob_file.h"
#include "storage/files/disk_space.h"
#include "storage/files/upload_dir.h"
#include "util/clock.h"
#include "util/log.h"

#define UPLOADS_EACH_MS 2000
/* The expiry of uploads while the disk is full. */
#define UPLOADS_SHORT_MS (10ull * 60 * 1000)
#define EVENTS_EACH_MS 1000

/* Is it time? Then sets the next time. */
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
tend_uploads(const struct registry *reg, struct err *err)
{
    struct registry now = *reg;

    if (disk_space_check(reg->dirfd, 0, err) != 0 && now.upload_expiry_ms > UPLOADS_SHORT_MS)
        now.upload_expiry_ms = UPLOADS_SHORT_MS;
    log_upkeep_failure(upload_dir_sweep_bodies(reg->dirfd, err), err);
    log_upkeep_failure(upload_expire(&now, err), err);
}

int
upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err)
{
    if (is_upkeep_due(&u->next_uploads_ms, UPLOADS_EACH_MS))
        tend_uploads(reg, err);
    if (is_upkeep_due(&u->next_jobs_ms, reg->gc_interval_ms) && garbage_step(reg, err) != 0)
        return -1;
    if (is_upkeep_due(&u->next_events_ms, EVENTS_EACH_MS) &&
        event_trim(reg, reg->event_keep_ms, err) != 0)
        return -1;
    if (repository_sweep(reg, &u->repositories, err) != 0)
        return -1;
    /* One directory a step: all of them in about nine minutes. */
    log_upkeep_failure(garbage_sweep(reg, u->sweep_at, err), err);
    u->sweep_at = (u->sweep_at + 1) % BLOB_FILE_DIRECTORIES;
    return 0;
}
