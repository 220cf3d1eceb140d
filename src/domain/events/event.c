#include "domain/events/event.h"
#include "domain/events/outbox.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"
#include "util/clock.h"

struct rec_event
event_of(enum event_type type, const char *repository, const struct actor *actor)
{
    struct rec_event e = {.type = type, .time = clock_wall_ms()};

    snprintf(e.repository, sizeof e.repository, "%s", repository);
    snprintf(e.actor, sizeof e.actor, "%s", actor->user);
    return e;
}

int
event_tell(struct txn *t, const struct actor *actor, const struct rec_event *e, struct err *err)
{
    return actor->quiet ? 0 : tbl_event_append(t, e, err);
}

/* ---- trimming ---- */

/* Events deleted in one call. */
#define TRIM_BATCH 500

struct trim {
    uint64_t before;
    uint32_t surplus; /* events up to this one are too many */
    uint32_t upto;    /* the last event that may go */
    uint32_t seqs[TRIM_BATCH];
    size_t n;
};

static int
collect_old_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    struct trim *tr = arg;

    (void)err;
    if ((r->time >= tr->before && seq > tr->surplus) || seq > tr->upto)
        return 1;
    tr->seqs[tr->n++] = seq;
    return tr->n == TRIM_BATCH;
}

static int
delete_old_events(struct txn *t, void *arg, struct err *err)
{
    const struct trim *tr = arg;

    kv_relax(t); /* what a power loss brings back is deleted again */
    if (tbl_meta_put(t, META_EVENTS_TRIMMED, tr->seqs[tr->n - 1], err) != 0)
        return -1;
    for (size_t i = 0; i < tr->n; i++)
        if (tbl_event_drop(t, tr->seqs[i], err) != 0)
            return -1;
    return 0;
}

int
event_trim(const struct registry *reg, uint64_t keep_ms, uint32_t max, struct err *err)
{
    uint64_t now = clock_wall_ms();
    struct trim tr = {.before = now > keep_ms ? now - keep_ms : 0};
    struct outbox_marks m;
    uint32_t indexed, last;

    if (outbox_marks_get(reg, &m, err) != 0 || outbox_indexed(reg, &indexed, err) != 0 ||
        tbl_event_last(kv_reads(reg->kv), &last, err) < 0)
        return -1;
    tr.surplus = last > max ? last - max : 0;
    tr.upto = m.told < m.queued ? m.told : m.queued;
    tr.upto = indexed < tr.upto ? indexed : tr.upto;
    if (tbl_event_each(kv_reads(reg->kv), 0, collect_old_event, &tr, err) != 0)
        return -1;
    if (tr.n > 0 && txn_run_anyway(reg->kv, delete_old_events, &tr, err) != 0)
        return -1;
    return tr.n == TRIM_BATCH;
}
