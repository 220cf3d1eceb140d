#include "domain/events/outbox.h"

#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"
#include "util/banned.h"

/* ---- marks ---- */

/* 0 when it isn't there. */
static int
get_mark(struct txn *t, const char *name, uint32_t *out, struct err *err)
{
    uint64_t value = 0;

    if (tbl_meta_get(t, name, &value, err) < 0)
        return -1;
    *out = (uint32_t)value;
    return 0;
}

int
outbox_marks_get(const struct registry *reg, struct outbox_marks *m, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);

    return get_mark(t, META_EVENTS_TOLD, &m->told, err) != 0
               ? -1
               : get_mark(t, META_EVENTS_QUEUED, &m->queued, err);
}

int
outbox_marks_put(struct txn *t, const struct outbox_marks *m, struct err *err)
{
    return tbl_meta_put(t, META_EVENTS_QUEUED, m->queued, err) != 0
               ? -1
               : tbl_meta_put(t, META_EVENTS_TOLD, m->told, err);
}

static int
save_marks(struct txn *t, void *arg, struct err *err)
{
    return outbox_marks_put(t, arg, err);
}

int
outbox_marks_save(const struct registry *reg, const struct outbox_marks *m, struct err *err)
{
    struct outbox_marks copy = *m;

    return txn_run(reg->kv, save_marks, &copy, err);
}

int
outbox_indexed(const struct registry *reg, uint32_t *mark, struct err *err)
{
    return get_mark(kv_reads(reg->kv), META_EVENTS_INDEXED, mark, err);
}

static int
save_indexed(struct txn *t, void *arg, struct err *err)
{
    return tbl_meta_put(t, META_EVENTS_INDEXED, *(uint32_t *)arg, err);
}

int
outbox_indexed_save(const struct registry *reg, uint32_t mark, struct err *err)
{
    return txn_run(reg->kv, save_indexed, &mark, err);
}

/* ---- reading ---- */

struct reading {
    uint32_t after;
    struct outbox_event *v;
    size_t n, room;
};

static int
note_outbox_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    struct reading *x = arg;

    (void)err;
    if (seq <= x->after)
        return 0;
    x->v[x->n++] = (struct outbox_event){seq, *r};
    return x->n == x->room;
}

int
outbox_read(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
            size_t *got, struct err *err)
{
    struct reading x = {.after = after, .v = v, .room = n};
    int rc = after == UINT32_MAX
                 ? 0
                 : tbl_event_each(kv_reads(reg->kv), after + 1, note_outbox_event, &x, err);

    *got = x.n;
    return rc;
}

static int
note_first_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    *(uint32_t *)arg = seq;
    return 1;
}

/* Numbers of the first and the last event there are; 0 for none. */
static int
find_ends(struct txn *t, uint32_t *first, uint32_t *last, struct err *err)
{
    *first = 0;
    if (tbl_event_each(t, 0, note_first_event, first, err) != 0)
        return -1;
    return tbl_event_last(t, last, err);
}

int
outbox_goes_on(const struct registry *reg, uint64_t since, uint32_t *oldest, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    uint32_t trimmed, first, last;

    /* In this order, so that what is trimmed meanwhile isn't missed. */
    if (find_ends(t, &first, &last, err) != 0 ||
        get_mark(t, META_EVENTS_TRIMMED, &trimmed, err) != 0)
        return -1;
    if (last < trimmed)
        last = trimmed;
    *oldest = first > trimmed ? first : trimmed + 1;
    return since >= trimmed && since <= last;
}

int
outbox_begin(struct txn *t, struct err *err)
{
    uint64_t ignored;
    uint32_t first, last;
    int rc = tbl_meta_get(t, META_EVENTS_QUEUED, &ignored, err);

    if (rc != 0)
        return rc < 0 ? -1 : 0;
    if (find_ends(t, &first, &last, err) != 0)
        return -1;
    struct outbox_marks m = {.told = last, .queued = last};
    if (outbox_marks_put(t, &m, err) != 0 || tbl_meta_put(t, META_EVENTS_INDEXED, last, err) != 0)
        return -1;
    return tbl_meta_put(t, META_EVENTS_TRIMMED, first > 0 ? first - 1 : 0, err);
}
