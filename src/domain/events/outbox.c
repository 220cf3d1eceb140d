#include "domain/events/outbox.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"

/* ---- marks ---- */

/* A mark that was never saved is 0. */
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

    if (get_mark(t, META_EVENTS_TOLD, &m->told, err) != 0)
        return -1;
    return get_mark(t, META_EVENTS_QUEUED, &m->queued, err);
}

int
outbox_marks_put(struct txn *t, const struct outbox_marks *m, struct err *err)
{
    if (tbl_meta_put(t, META_EVENTS_QUEUED, m->queued, err) != 0)
        return -1;
    return tbl_meta_put(t, META_EVENTS_TOLD, m->told, err);
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

struct event_page {
    struct outbox_event *v;
    size_t n, room;
};

static int
collect_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    struct event_page *x = arg;

    (void)err;
    x->v[x->n++] = (struct outbox_event){seq, *r};
    return x->n == x->room;
}

int
outbox_peek(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
            size_t *got, struct err *err)
{
    struct event_page x = {.v = v, .room = n};
    int rc = 0;

    if (after < UINT32_MAX)
        rc = tbl_event_each(kv_reads(reg->kv), after + 1, collect_event, &x, err);
    *got = x.n;
    return rc < 0 ? -1 : 0;
}

int
outbox_read(const struct registry *reg, uint32_t after, struct outbox_event *v, size_t n,
            size_t *got, struct err *err)
{
    int rc = outbox_peek(reg, after, v, n, got, err);

    return rc == 0 && *got > 0 ? kv_flush(reg->kv, err) : rc;
}

static int
keep_first_number(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    (void)r;
    (void)err;
    *(uint32_t *)arg = seq;
    return 1;
}

/* The numbers of the first and the last event that are kept; 0 when there is none. */
static int
get_first_and_last(struct txn *t, uint32_t *first, uint32_t *last, struct err *err)
{
    *first = 0;
    if (tbl_event_each(t, 0, keep_first_number, first, err) != 0)
        return -1;
    return tbl_event_last(t, last, err);
}

int
outbox_goes_on(const struct registry *reg, uint64_t since, uint32_t *oldest, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    uint32_t trimmed, first, last;

    /* In this order: events that are deleted between the two reads are then below the mark. */
    if (get_first_and_last(t, &first, &last, err) != 0 ||
        get_mark(t, META_EVENTS_TRIMMED, &trimmed, err) != 0)
        return -1;
    if (last < trimmed)
        last = trimmed;
    *oldest = first > trimmed ? first : trimmed + 1;
    return since >= trimmed && since <= last;
}
