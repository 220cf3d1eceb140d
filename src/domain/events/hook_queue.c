#include "domain/events/hook_queue.h"
#include "storage/kv/kv.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"

/* Repositories that hook_queue_next looks at in one call. */
#define STEPS_MAX 200

/* The first pause between tries, in milliseconds. Each further one is four times as long. */
#define PAUSE_FIRST_MS 1000
#define PAUSE_MAX_MS 600000

uint64_t
hook_queue_pause_ms(uint32_t tries)
{
    uint64_t ms = PAUSE_FIRST_MS;

    for (uint32_t i = 1; i < tries && ms < PAUSE_MAX_MS; i++)
        ms *= 4;
    return ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
}

static int
count_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    (void)h;
    (void)err;
    ++*(uint64_t *)arg;
    return 0;
}

int
hook_queue_begin(struct hook_queue *q, const struct registry *reg, uint64_t retries,
                 struct err *err)
{
    *q = (struct hook_queue){
        .reg = reg, .max = HOOK_QUEUE_WAITING_MAX, .retries = retries, .next_due = UINT64_MAX};
    hook_queue_restart(q);
    return tbl_hook_each(kv_reads(reg->kv), TBL_HOOK_WAITING, NULL, count_hook, &q->waiting, err);
}

/* ---- failed hooks ---- */

static int
keep_first_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    (void)err;
    *(struct tbl_hook *)arg = *h;
    return 1;
}

/* Puts a hook among those that failed. If there are too many, the oldest is deleted. */
static int
put_failed_hook(struct txn *t, const struct tbl_hook *h, struct err *err)
{
    struct tbl_hook failed = *h, oldest = {.seq = 0};
    uint64_t n = 0;

    failed.state = TBL_HOOK_FAILED;
    if (tbl_hook_each(t, TBL_HOOK_FAILED, NULL, count_hook, &n, err) != 0)
        return -1;
    if (n >= HOOK_QUEUE_FAILED_MAX &&
        (tbl_hook_each(t, TBL_HOOK_FAILED, NULL, keep_first_hook, &oldest, err) != 0 ||
         tbl_hook_drop(t, &oldest, err) != 0))
        return -1;
    return tbl_hook_put(t, &failed, err);
}

/* ---- adding ---- */

struct hook_adding {
    struct hook_queue *q;
    const struct outbox_event *v;
    const bool *wanted;
    size_t n;
    const struct outbox_marks *marks;
    uint64_t added;
};

static int
add_hooks(struct txn *t, void *arg, struct err *err)
{
    struct hook_adding *a = arg;

    a->added = 0;
    if (outbox_marks_put(t, a->marks, err) != 0)
        return -1;
    for (size_t i = 0; i < a->n; i++) {
        struct tbl_hook h = {.state = TBL_HOOK_WAITING, .seq = a->v[i].seq};
        int rc;

        if (!a->wanted[i])
            continue;
        h.record.event = a->v[i].event;
        if (a->q->waiting + a->added < a->q->max) {
            a->added++;
            rc = tbl_hook_put(t, &h, err);
        } else {
            snprintf(h.record.line, sizeof h.record.line, "too many hooks were waiting");
            rc = put_failed_hook(t, &h, err);
        }
        if (rc != 0)
            return -1;
    }
    return 0;
}

int
hook_queue_add(struct hook_queue *q, const struct outbox_event *v, const bool *wanted, size_t n,
               const struct outbox_marks *m, struct err *err)
{
    struct hook_adding a = {q, v, wanted, n, m, 0};

    if (txn_run(q->reg->kv, add_hooks, &a, err) != 0)
        return -1;
    q->waiting += a.added;
    hook_queue_restart(q);
    return 0;
}

/* ---- choosing the next one ---- */

void
hook_queue_restart(struct hook_queue *q)
{
    memcpy(q->from, q->at, sizeof q->from);
    q->from_begun = q->at_begun;
    q->wrapped = false;
    q->in_round = true;
    q->next_due = UINT64_MAX;
}

uint64_t
hook_queue_wait_ms(const struct hook_queue *q)
{
    uint64_t now = clock_wall_ms();

    if (q->in_round || q->next_due <= now)
        return 0;
    return q->next_due == UINT64_MAX ? UINT64_MAX : q->next_due - now;
}

/* The first hook of the next repository: 1, 0 at the end of the round, -1. */
static int
next_repository_hook(struct hook_queue *q, struct tbl_hook *h, struct err *err)
{
    struct txn *reads = kv_reads(q->reg->kv);
    int rc = tbl_hook_first_behind(reads, q->at_begun ? q->at : NULL, h, err);

    if (rc == 0 && !q->wrapped) {
        q->wrapped = true;
        q->at_begun = false;
        rc = q->from_begun ? tbl_hook_first_behind(reads, NULL, h, err) : 0;
    }
    if (rc == 1 && q->wrapped && strcmp(h->record.event.repository, q->from) > 0)
        rc = 0;
    if (rc == 1) {
        memcpy(q->at, h->record.event.repository, sizeof q->at);
        q->at_begun = true;
    }
    return rc;
}

/* A v1 image is pushed before its tag names a repository, so its events have none. A tag of a v1
 * image waits for all earlier events without a repository, so that the hook for the image runs
 * before the hook for its tag. 1: it has to wait. 0, -1. */
static int
waits_for_images(const struct hook_queue *q, const struct tbl_hook *h, struct err *err)
{
    struct tbl_hook first;
    int rc;

    if (h->record.event.id.algo != DIGEST_V1_ID || h->record.event.repository[0] == '\0')
        return 0;
    rc = tbl_hook_first_behind(kv_reads(q->reg->kv), NULL, &first, err);
    if (rc == 1)
        rc = first.record.event.repository[0] == '\0' && first.seq < h->seq;
    return rc;
}

int
hook_queue_next(struct hook_queue *q, bool (*is_busy)(const char *repository, void *arg), void *arg,
                struct tbl_hook *h, struct err *err)
{
    uint64_t now = clock_wall_ms();

    if (!q->in_round && q->next_due <= now)
        hook_queue_restart(q);
    for (int i = 0; q->in_round && i < STEPS_MAX; i++) {
        int rc = next_repository_hook(q, h, err);

        if (rc < 0)
            return -1;
        if (rc == 0) {
            q->in_round = false;
        } else if (h->record.due > now) {
            q->next_due = h->record.due < q->next_due ? h->record.due : q->next_due;
        } else if (!is_busy(h->record.event.repository, arg)) {
            rc = waits_for_images(q, h, err);
            if (rc <= 0)
                return rc < 0 ? -1 : 1;
        }
    }
    return 0;
}

/* ---- results ---- */

struct hook_settling {
    const struct hook_queue *q;
    struct hook_result *v;
    size_t n;
    struct tbl_hook failed[HOOK_QUEUE_RESULTS_MAX];
    size_t failed_n;
    uint64_t gone;
};

static int
compare_results(const void *a, const void *b)
{
    const struct hook_result *x = a, *y = b;
    int c = strcmp(x->repository, y->repository);

    return c != 0 ? c : (x->seq > y->seq) - (x->seq < y->seq);
}

static int
settle_hook_result(struct txn *t, struct hook_settling *s, const struct hook_result *r,
                   struct err *err)
{
    struct tbl_hook h = {.state = TBL_HOOK_WAITING, .seq = r->seq};

    int rc;

    memcpy(h.record.event.repository, r->repository, sizeof r->repository);
    rc = tbl_hook_get_for_update(t, &h, err);
    if (rc != 1)
        return rc;
    memcpy(h.record.line, r->line, sizeof r->line);
    h.record.tries++;
    if (!r->ok && h.record.tries <= s->q->retries) {
        h.record.due = clock_wall_ms() + hook_queue_pause_ms(h.record.tries);
        return tbl_hook_put(t, &h, err);
    }
    if (!r->ok)
        s->failed[s->failed_n++] = h;
    s->gone++;
    return tbl_hook_drop(t, &h, err);
}

static int
settle_hook_results(struct txn *t, void *arg, struct err *err)
{
    struct hook_settling *s = arg;

    s->failed_n = 0;
    s->gone = 0;
    for (size_t i = 0; i < s->n; i++)
        if (settle_hook_result(t, s, &s->v[i], err) != 0)
            return -1;
    for (size_t i = 0; i < s->failed_n; i++)
        if (put_failed_hook(t, &s->failed[i], err) != 0)
            return -1;
    return 0;
}

int
hook_queue_settle(struct hook_queue *q, struct hook_result *v, size_t n, struct err *err)
{
    struct hook_settling *s = mem_alloc(sizeof *s);
    int rc;

    s->q = q;
    s->v = v;
    s->n = n;
    qsort(v, n, sizeof *v, compare_results);
    rc = txn_run(q->reg->kv, settle_hook_results, s, err);
    if (rc == 0) {
        q->waiting -= s->gone < q->waiting ? s->gone : q->waiting;
        hook_queue_restart(q);
    }
    for (size_t i = 0; rc == 0 && i < s->failed_n; i++)
        log_client_line(
            LOG_WARN,
            "a hook failed too often: it stays in the list of docker-registry-server hooks",
            "id=%lu repository=%s line=%s", (unsigned long)s->failed[i].seq,
            s->failed[i].record.event.repository, s->failed[i].record.line);
    free(s);
    return rc;
}

/* ---- for other processes ---- */

struct hook_listing {
    struct tbl_hook *v;
    size_t n, room;
};

static int
collect_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    struct hook_listing *l = arg;

    (void)err;
    if (l->n == l->room)
        return 1;
    l->v[l->n++] = *h;
    return 0;
}

int
hook_queue_list(const struct registry *reg, const struct tbl_hook *after, struct tbl_hook *v,
                size_t n, size_t *got, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    struct hook_listing l = {v, 0, n};
    bool waiting = after == NULL || after->state == TBL_HOOK_WAITING;
    int rc = 0;

    if (waiting)
        rc = tbl_hook_each(t, TBL_HOOK_WAITING, after, collect_hook, &l, err);
    if (rc == 0)
        rc = tbl_hook_each(t, TBL_HOOK_FAILED, waiting ? NULL : after, collect_hook, &l, err);
    *got = l.n;
    return rc;
}

static int
match_hook(const struct tbl_hook *h, void *arg, struct err *err)
{
    struct tbl_hook *wanted = arg;

    (void)err;
    if (h->seq != wanted->seq)
        return 0;
    *wanted = *h;
    return 1;
}

/* Finds a row by its number. Reads all rows, because a person asks for one now and then. */
static int
find_hook_row(const struct registry *reg, struct tbl_hook *h, struct err *err)
{
    struct txn *t = kv_reads(reg->kv);
    enum tbl_hook_state none = h->state;

    if (tbl_hook_each(t, TBL_HOOK_WAITING, NULL, match_hook, h, err) != 0 ||
        (h->state == none && tbl_hook_each(t, TBL_HOOK_FAILED, NULL, match_hook, h, err) != 0))
        return -1;
    return h->state != none;
}

static int
retry_hook(struct txn *t, void *arg, struct err *err)
{
    struct tbl_hook h = *(struct tbl_hook *)arg;
    int rc = tbl_hook_get_for_update(t, &h, err);

    if (rc != 1)
        return rc == 0 ? err_set(err, ERR_BUSY, "the hook has just changed: try again") : -1;
    if (h.state == TBL_HOOK_FAILED && tbl_hook_drop(t, &h, err) != 0)
        return -1;
    h.state = TBL_HOOK_WAITING;
    h.record.tries = 0;
    h.record.due = 0;
    return tbl_hook_put(t, &h, err);
}

static int
drop_hook(struct txn *t, void *arg, struct err *err)
{
    return tbl_hook_drop(t, arg, err);
}

static int
change_queued_hook(const struct registry *reg, uint32_t seq,
                   int (*fn)(struct txn *t, void *arg, struct err *err), struct err *err)
{
    struct tbl_hook h = {.seq = seq};
    int rc = find_hook_row(reg, &h, err);

    if (rc != 1)
        return rc;
    return txn_run(reg->kv, fn, &h, err) == 0 ? 1 : -1;
}

int
hook_queue_retry(const struct registry *reg, uint32_t seq, struct err *err)
{
    return change_queued_hook(reg, seq, retry_hook, err);
}

int
hook_queue_drop(const struct registry *reg, uint32_t seq, struct err *err)
{
    return change_queued_hook(reg, seq, drop_hook, err);
}
