#include "domain/core/history.h"
#include "storage/tables/tbl_job.h"

/* Jobs are due at the end of a part of --history-keep, which is divided into this many parts. A
 * digest then has few jobs. Jobs of different digests stand on different pages of their table, so
 * that concurrent pushes don't wait for one page. */
#define PARTS 64

uint64_t
history_until(const struct registry *reg, uint64_t time)
{
    return time + reg->history_keep_ms;
}

static uint64_t
end_of_part(const struct registry *reg, uint64_t until)
{
    uint64_t part = reg->history_keep_ms / PARTS;

    return part > 0 ? (until + part - 1) / part * part : until;
}

uint64_t
history_over(const struct registry *reg, uint64_t time)
{
    return end_of_part(reg, history_until(reg, time));
}

int
history_look_now(struct txn *t, const struct digest *d, uint64_t now, struct err *err)
{
    struct job job = {.kind = JOB_HISTORY, .due = now, .digest = *d};
    struct rec_job work = {.tries = 0};

    return tbl_job_put(t, &job, &work, err);
}

int
history_look_at(struct txn *t, const struct registry *reg, const struct digest *d, uint64_t until,
                struct err *err)
{
    return history_look_now(t, d, end_of_part(reg, until), err);
}
