#include "process/keeper/herald_client.h"
#include <sys/socket.h>
#include "domain/metrics/metrics.h"
#include "storage/kv/kv.h"
#include "storage/tables/tbl_event.h"
#include "util/log.h"
#include "util/mem.h"

#define CONNECT_EACH_MS 100
#define RETRY_MS 1000
/* How often the marks are saved, if no other transaction saves them. A new keeper sends only events
 * that the herald doesn't have, so this matters when both die at once. */
#define SAVE_EACH_MS 1000
#define MESSAGES_MAX 100 /* in one step; the keeper has other work */

struct herald_client *
herald_client_new(const struct server *s, const struct registry *reg, struct loop *loop)
{
    struct herald_client *c = mem_alloc(sizeof *c);

    c->reg = reg;
    c->loop = loop;
    c->line.fd = -1;
    c->jobs = s->options->hook_jobs;
    c->held = mem_array(c->jobs, sizeof *c->held);
    c->retries = s->options->hook_retries;
    loop_timer_init(&c->due, loop, NULL, NULL);
    loop_fd_init(&c->ready, loop, NULL, NULL);
    server_hooks(s, &c->hooks);
    return c;
}

void
herald_client_follow(struct herald_client *c)
{
    c->follows = c->has_role = c->role_is_due = true;
}

void
herald_client_lead(struct herald_client *c, uint64_t wait_ms)
{
    c->has_role = c->role_is_due = true;
    if (wait_ms > 0)
        c->hooks_at = loop_now(c->loop) + wait_ms;
}

static int
read_queue(struct herald_client *c, struct err *err)
{
    if (c->follows) {
        c->begun = tbl_event_last(kv_reads(c->reg->kv), &c->marks.told, err) >= 0;
        return c->begun ? 0 : -1;
    }
    if (outbox_marks_get(c->reg, &c->marks, err) != 0 ||
        hook_queue_begin(&c->queue, c->reg, c->retries, err) != 0)
        return -1;
    c->saved = c->marks;
    c->begun = true;
    return 0;
}

static int
save_client_marks(struct herald_client *c, struct err *err)
{
    if (memcmp(&c->marks, &c->saved, sizeof c->marks) == 0)
        return 0;
    if (!c->follows && outbox_marks_save(c->reg, &c->marks, err) != 0)
        return -1;
    c->saved = c->marks;
    return 0;
}

void
herald_client_free(struct herald_client *c)
{
    struct err err;

    if (c->begun && save_client_marks(c, &err) != 0)
        log_line(LOG_WARN, "events may be told again", "why=%s", err.message);
    loop_timer_stop(&c->due);
    loop_fd_stop(&c->ready);
    herald_protocol_close(&c->line);
    free(c->held);
    free(c);
}

void
herald_client_poke(struct herald_client *c, bool hooks)
{
    c->fresh = true;
    if (hooks && c->begun && !c->follows)
        hook_queue_restart(&c->queue);
}

/* ---- the connection ---- */

/* Forgets what the last connection was doing; the herald tells it again. */
static void
connect_herald(struct herald_client *c, uint64_t now)
{
    struct err ignored;

    if (now >= c->connect_at) {
        c->connect_at = now + CONNECT_EACH_MS;
        if (herald_protocol_connect(&c->line, SERVER_FEED_NAME, &ignored) == 0) {
            c->met = false;
            c->seen = 0;
            c->role_is_due = c->role_is_due || c->has_role;
            c->held_n = c->results_n = c->taken_n = c->pages_n = 0;
            c->out.type = HERALD_KEEPER;
            herald_protocol_send(&c->line, &c->out);
            return;
        }
    }
    loop_timer_by(&c->due, c->connect_at);
}

static void
hold_hook(struct herald_client *c, uint32_t seq, unsigned which, const char *repository)
{
    struct herald_client_held *h;

    if (c->held_n == c->jobs)
        return; /* can't happen: the herald has the same limit */
    h = &c->held[c->held_n++];
    h->seq = seq;
    h->which = which;
    memcpy(h->repository, repository, sizeof h->repository);
}

static void
let_hook_go(struct herald_client *c, uint32_t seq)
{
    for (size_t i = 0; i < c->held_n; i++)
        if (c->held[i].seq == seq)
            c->held[i--] = c->held[--c->held_n];
}

static void
count_hook_end(struct herald_client *c, uint32_t seq, bool ok)
{
    c->ended++;
    for (size_t i = 0; i < c->held_n; i++)
        if (c->held[i].seq == seq)
            metrics_count(c->reg->counts, METRIC_HOOK_RUNS,
                          c->held[i].which * METRICS_RESULTS + (ok ? METRICS_OK : METRICS_FAILED),
                          1);
}

static bool
is_held(const char *repository, void *arg)
{
    const struct herald_client *c = arg;

    for (size_t i = 0; i < c->held_n; i++)
        if (strcmp(c->held[i].repository, repository) == 0)
            return true;
    return false;
}

/* ---- messages from the herald ---- */

/* The herald of a follower may know events that no leader has entered into the queue of hooks. */
static uint32_t
first_to_send(const struct herald_client *c)
{
    uint32_t known = c->in.seq;

    if (c->follows)
        return known > 0 ? known : c->marks.told;
    if (known > c->marks.queued && c->has_role)
        known = c->marks.queued;
    return known > c->marks.told ? known : c->marks.told;
}

/* Tells the herald the first event that it will get. */
static void
meet_herald(struct herald_client *c)
{
    c->met = true;
    c->sent = first_to_send(c);
    if (!c->follows)
        hook_queue_restart(&c->queue);
    c->fresh = true;
    c->out.type = HERALD_EVENTS;
    c->out.seq = c->sent;
    c->out.id = 0;
    c->out.gone = false;
    c->out.n = 0;
    herald_protocol_send(&c->line, &c->out);
}

static void
note_told(struct herald_client *c)
{
    uint32_t told = c->seen < c->sent ? c->seen : c->sent;

    if (told > c->marks.told)
        c->marks.told = told;
}

static void
handle_herald_message(struct herald_client *c)
{
    const struct herald_message *in = &c->in;
    struct hook_result *result;

    switch (in->type) {
    case HERALD_RUNNING:
        hold_hook(c, in->seq, METRICS_HOOK_UNKNOWN, in->repository);
        break;
    case HERALD_HELLO:
        meet_herald(c);
        break;
    case HERALD_SEEN:
        c->seen = in->seq;
        note_told(c);
        c->ended++;
        break;
    case HERALD_DONE:
        if (c->follows) /* the leader runs it again */
            break;
        result = &c->results[c->results_n++];
        result->seq = in->seq;
        result->ok = in->ok;
        count_hook_end(c, in->seq, in->ok);
        memcpy(result->repository, in->repository, sizeof result->repository);
        memcpy(result->line, in->line, sizeof result->line);
        break;
    case HERALD_PAGE:
        c->pages[c->pages_n].id = in->id;
        c->pages[c->pages_n++].after = in->seq;
        break;
    default:
        break;
    }
}

/* Reads messages as long as there is room for their requests. */
static void
receive_messages(struct herald_client *c)
{
    while (herald_protocol_is_free(&c->line) &&
           c->results_n + c->taken_n < HOOK_QUEUE_RESULTS_MAX && c->pages_n < HERALD_PAGES_MAX &&
           herald_protocol_receive(&c->line, &c->in) == 1)
        handle_herald_message(c);
}

/* ---- messages to the herald ---- */

static int
settle_results(struct herald_client *c, struct err *err)
{
    if (c->results_n == 0)
        return 0;
    if (hook_queue_settle(&c->queue, c->results, c->results_n, err) != 0)
        return -1;
    for (size_t i = 0; i < c->results_n; i++)
        c->taken[c->taken_n++] = c->results[i].seq;
    c->results_n = 0;
    return 0;
}

static void
send_role(struct herald_client *c)
{
    c->role_is_due = false;
    c->out.type = c->follows ? HERALD_FOLLOW : HERALD_LEAD;
    herald_protocol_send(&c->line, &c->out);
}

static void
send_taken(struct herald_client *c)
{
    c->out.type = HERALD_TAKEN;
    c->out.seq = c->taken[--c->taken_n];
    let_hook_go(c, c->out.seq);
    herald_protocol_send(&c->line, &c->out);
}

static int
send_page(struct herald_client *c, struct err *err)
{
    struct herald_message *out = &c->out;
    uint32_t oldest;
    int rc;

    out->type = HERALD_EVENTS;
    out->id = c->pages[0].id;
    out->seq = c->pages[0].after;
    if (outbox_read(c->reg, out->seq, out->events, HERALD_EVENTS_MAX, &out->n, err) != 0)
        return -1;
    /* Afterwards, so that events which are removed meanwhile are noticed. */
    rc = outbox_goes_on(c->reg, out->seq, &oldest, err);
    if (rc < 0)
        return -1;
    out->gone = rc == 0;
    memmove(c->pages, c->pages + 1, --c->pages_n * sizeof c->pages[0]);
    herald_protocol_send(&c->line, out);
    return 0;
}

/* Is there a hook for this event? Asks once for each kind of hook: known[] begins with zeros. */
static bool
is_hook_wanted(struct herald_client *c, enum hook which, signed char known[HOOK_COUNT])
{
    struct err ignored;

    if (known[which] == 0)
        known[which] = hook_find(&c->hooks, which, &ignored) == 1 ? 1 : -1;
    return known[which] > 0;
}

/* Queues the hooks of the events in c->out, before the herald gets them. */
static int
queue_hooks(struct herald_client *c, struct err *err)
{
    const struct herald_message *out = &c->out;
    bool wanted[HERALD_EVENTS_MAX] = {false};
    signed char known[HOOK_COUNT] = {0};
    bool any = false;
    struct outbox_marks m = c->marks;

    for (size_t i = 0; i < out->n; i++) {
        if (out->events[i].seq <= m.queued)
            continue;
        wanted[i] = is_hook_wanted(c, hook_of_event(out->events[i].event.type), known);
        any = any || wanted[i];
    }
    if (out->events[out->n - 1].seq > m.queued)
        m.queued = out->events[out->n - 1].seq;
    if (any && hook_queue_add(&c->queue, out->events, wanted, out->n, &m, err) != 0)
        return -1;
    c->marks = m;
    if (any)
        c->saved = m;
    return 0;
}

static int
send_events(struct herald_client *c, struct err *err)
{
    struct herald_message *out = &c->out;

    if (outbox_read(c->reg, c->sent, out->events, HERALD_EVENTS_MAX, &out->n, err) != 0)
        return -1;
    c->fresh = out->n == HERALD_EVENTS_MAX;
    if (out->n == 0)
        return 0;
    if (!c->follows && queue_hooks(c, err) != 0) {
        c->fresh = true;
        return -1;
    }
    out->type = HERALD_EVENTS;
    out->id = 0;
    out->gone = false;
    out->seq = c->sent;
    c->sent = out->events[out->n - 1].seq;
    note_told(c);
    herald_protocol_send(&c->line, out);
    return 0;
}

static int
send_hook(struct herald_client *c, struct err *err)
{
    struct tbl_hook h;
    int rc = hook_queue_next(&c->queue, is_held, c, &h, err);

    if (rc != 1)
        return rc;
    c->out.type = HERALD_RUN;
    c->out.tries = h.record.tries;
    c->out.n = 1;
    c->out.events[0] = (struct outbox_event){h.seq, h.record.event};
    hold_hook(c, h.seq, hook_of_event(h.record.event.type), h.record.event.repository);
    herald_protocol_send(&c->line, &c->out);
    return 0;
}

/* True if a hook is due and the herald has room for it. */
static bool
may_send_hook(struct herald_client *c, uint64_t now)
{
    uint64_t wait;

    if (!c->met || c->held_n == c->jobs || c->follows)
        return false;
    if (now < c->hooks_at) {
        loop_timer_by(&c->due, c->hooks_at);
        return false;
    }
    wait = hook_queue_wait_ms(&c->queue);
    if (wait > 0 && wait < UINT64_MAX)
        loop_timer_by(&c->due, now + wait);
    return wait == 0;
}

/* Does the most urgent thing. 1: something was done. 0: there is nothing to do. -1. */
static int
send_message(struct herald_client *c, uint64_t now, struct err *err)
{
    int rc = 0;

    if (c->role_is_due)
        send_role(c);
    else if (c->taken_n > 0)
        send_taken(c);
    else if (c->pages_n > 0)
        rc = send_page(c, err);
    else if (c->met && c->fresh)
        rc = send_events(c, err);
    else if (may_send_hook(c, now))
        rc = send_hook(c, err);
    else
        return 0;
    return rc == 0 ? 1 : -1;
}

/* ---- the whole ---- */

static int
save_marks_in_time(struct herald_client *c, uint64_t now, struct err *err)
{
    if (now < c->save_at) {
        if (memcmp(&c->marks, &c->saved, sizeof c->marks) != 0)
            loop_timer_by(&c->due, c->save_at);
        return 0;
    }
    c->save_at = now + SAVE_EACH_MS;
    return save_client_marks(c, err);
}

static int
exchange_messages(struct herald_client *c, uint64_t now, struct err *err)
{
    int rc = 1;

    if (!c->begun && read_queue(c, err) != 0)
        return -1;
    if (c->line.fd < 0)
        connect_herald(c, now);
    herald_protocol_flush(&c->line);
    for (int i = 0; rc == 1 && i < MESSAGES_MAX && herald_protocol_is_free(&c->line); i++) {
        receive_messages(c);
        if (settle_results(c, err) != 0)
            return -1;
        rc = herald_protocol_is_free(&c->line) ? send_message(c, now, err) : 0;
    }
    if (rc < 0)
        return -1;
    if (rc == 1)
        loop_timer_by(&c->due, now); /* there may be more to do */
    return save_marks_in_time(c, now, err);
}

int
herald_client_step(struct herald_client *c, struct err *err)
{
    uint64_t now = loop_now(c->loop);
    int rc;

    if (now < c->retry_at)
        return 0;
    rc = exchange_messages(c, now, err);
    if (rc != 0) {
        c->retry_at = now + RETRY_MS;
        loop_timer_at(&c->due, c->retry_at);
        loop_fd_stop(&c->ready); /* until then nothing is taken from it */
        return -1;
    }
    if (c->line.fd < 0)
        loop_timer_by(&c->due, c->connect_at);
    loop_fd_set(&c->ready, c->line.fd, herald_protocol_is_free(&c->line) ? POLLIN : POLLOUT);
    return 0;
}

bool
herald_client_is_alone(const struct herald_client *c)
{
    return c->line.fd < 0;
}
