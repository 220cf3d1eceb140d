#include "process/keeper/herald_client.h"
#include <stdlib.h>
#include <string.h>
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/banned.h"

#define CONNECT_EACH_MS 100
#define RETRY_MS 1000
/* What was told is written down this often, if nothing else has to be. A new keeper tells the
 * herald only of what that hasn't heard; so this matters when both die at once. */
#define SAVE_EACH_MS 1000

struct herald_client *
herald_client_new(const struct server *s, const struct registry *reg, struct err *err)
{
    struct herald_client *f = mem_alloc(sizeof *f);
    if (f != NULL)
        f->held = mem_array(s->options->hook_jobs, sizeof *f->held);
    if (f == NULL || f->held == NULL) {
        free(f);
        err_errno(err, "no memory for hooks");
        return NULL;
    }
    f->reg = reg;
    f->line.fd = -1;
    f->jobs = s->options->hook_jobs;
    f->retries = s->options->hook_retries;
    server_hooks(s, &f->hooks);
    return f;
}

/* What the database has to say first. */
static int
begin_queue(struct herald_client *f, struct err *err)
{
    if (outbox_marks_get(f->reg, &f->marks, err) < 0 ||
        hook_queue_begin(&f->queue, f->reg, f->retries, err) < 0)
        return -1;
    f->saved = f->marks;
    f->begun = true;
    return 0;
}

static int
save_client_marks(struct herald_client *f, uint64_t now, struct err *err)
{
    f->save_at = now + SAVE_EACH_MS;
    if (memcmp(&f->marks, &f->saved, sizeof f->marks) == 0)
        return 0;
    if (outbox_marks_save(f->reg, &f->marks, err) < 0)
        return -1;
    f->saved = f->marks;
    return 0;
}

void
herald_client_free(struct herald_client *f)
{
    struct err err;
    if (f == NULL)
        return;
    if (f->begun && save_client_marks(f, 0, &err) < 0)
        log_line(LOG_WARN, "events may be told again", "why=%s", err.message);
    herald_protocol_close(&f->line);
    free(f->held);
    free(f);
}

void
herald_client_poke(struct herald_client *f, bool hooks)
{
    f->fresh = true;
    if (hooks && f->begun)
        hook_queue_look(&f->queue);
}

/* ---- the line ---- */

/* What was under way with the last herald is forgotten: the new one, or the same, tells. */
static void
connect_herald(struct herald_client *f, uint64_t now)
{
    struct err ignored;
    if (now < f->connect_at)
        return;
    f->connect_at = now + CONNECT_EACH_MS;
    if (herald_protocol_connect(&f->line, SERVER_FEED_NAME, &ignored) < 0)
        return;
    f->met = false;
    f->held_n = f->results_n = f->taken_n = f->pages_n = 0;
    f->out.type = HERALD_KEEPER;
    herald_protocol_send(&f->line, &f->out);
}

static void
hold(struct herald_client *f, uint32_t seq, const char *repository)
{
    if (f->held_n == f->jobs)
        return; /* the herald's limit is ours */
    struct herald_client_held *h = &f->held[f->held_n++];
    h->seq = seq;
    memcpy(h->repository, repository, sizeof h->repository);
}

static void
let_go(struct herald_client *f, uint32_t seq)
{
    for (size_t i = 0; i < f->held_n; i++)
        if (f->held[i].seq == seq)
            f->held[i--] = f->held[--f->held_n];
}

static bool
is_held(const char *repository, void *arg)
{
    const struct herald_client *f = arg;
    for (size_t i = 0; i < f->held_n; i++)
        if (strcmp(f->held[i].repository, repository) == 0)
            return true;
    return false;
}

static void
meet(struct herald_client *f)
{
    f->met = true;
    f->fed = f->in.seq > f->marks.told ? f->in.seq : f->marks.told;
    hook_queue_look(&f->queue);
    /* Tells from where on it will hear all. */
    f->fresh = true;
    f->out.type = HERALD_EVENTS;
    f->out.seq = f->fed;
    f->out.id = 0;
    f->out.gone = false;
    f->out.n = 0;
    herald_protocol_send(&f->line, &f->out);
}

static void
handle_herald_message(struct herald_client *f)
{
    const struct herald_message *in = &f->in;
    switch (in->type) {
    case HERALD_RUNNING:
        hold(f, in->seq, in->repository);
        break;
    case HERALD_HELLO:
        meet(f);
        break;
    case HERALD_SEEN:
        if (in->seq > f->marks.told && in->seq <= f->fed)
            f->marks.told = in->seq;
        break;
    case HERALD_DONE: {
        struct hook_result *r = &f->results[f->results_n++];
        r->seq = in->seq;
        r->ok = in->ok;
        memcpy(r->repository, in->repository, sizeof r->repository);
        memcpy(r->line, in->line, sizeof r->line);
        break;
    }
    case HERALD_PAGE:
        f->pages[f->pages_n].id = in->id;
        f->pages[f->pages_n++].after = in->seq;
        break;
    default:
        break;
    }
}

/* As much as there is, and room for what it may ask of us. */
static void
receive(struct herald_client *f)
{
    while (herald_protocol_is_free(&f->line) &&
           f->results_n + f->taken_n < HOOK_QUEUE_RESULTS_MAX && f->pages_n < HERALD_PAGES_MAX &&
           herald_protocol_receive(&f->line, &f->in) == 1)
        handle_herald_message(f);
}

/* ---- what goes out ---- */

static int
settle_results(struct herald_client *f, struct err *err)
{
    if (f->results_n == 0)
        return 0;
    if (hook_queue_settle(&f->queue, f->results, f->results_n, err) < 0)
        return -1;
    for (size_t i = 0; i < f->results_n; i++)
        f->taken[f->taken_n++] = f->results[i].seq;
    f->results_n = 0;
    return 0;
}

static void
send_taken(struct herald_client *f)
{
    f->out.type = HERALD_TAKEN;
    f->out.seq = f->taken[--f->taken_n];
    let_go(f, f->out.seq);
    herald_protocol_send(&f->line, &f->out);
}

static int
send_page(struct herald_client *f, struct err *err)
{
    struct herald_message *out = &f->out;
    uint32_t oldest;
    out->type = HERALD_EVENTS;
    out->id = f->pages[0].id;
    out->seq = f->pages[0].after;
    if (outbox_read(f->reg, out->seq, out->events, HERALD_EVENTS_MAX, &out->n, err) < 0)
        return -1;
    /* Afterwards, so that what is trimmed meanwhile is noticed. */
    int on = outbox_goes_on(f->reg, out->seq, &oldest, err);
    if (on < 0)
        return -1;
    out->gone = on == 0;
    memmove(f->pages, f->pages + 1, --f->pages_n * sizeof f->pages[0]);
    herald_protocol_send(&f->line, out);
    return 0;
}

/* Rows for those events that have a hook, before the herald hears of them. */
static int
queue_hooks(struct herald_client *f, struct err *err)
{
    const struct herald_message *out = &f->out;
    bool wanted[HERALD_EVENTS_MAX] = {false};
    bool any = false;
    struct outbox_marks m = f->marks;
    struct err ignored;
    for (size_t i = 0; i < out->n; i++) {
        if (out->events[i].seq <= m.queued)
            continue;
        enum hook which = hook_of_event(out->events[i].event.type);
        wanted[i] = hook_find(&f->hooks, which, &ignored) == 1;
        any = any || wanted[i];
    }
    if (out->events[out->n - 1].seq > m.queued)
        m.queued = out->events[out->n - 1].seq;
    if (any && hook_queue_add(&f->queue, out->events, wanted, out->n, &m, err) < 0)
        return -1;
    f->marks = m;
    if (any)
        f->saved = m;
    return 0;
}

static int
send_events(struct herald_client *f, struct err *err)
{
    struct herald_message *out = &f->out;
    if (outbox_read(f->reg, f->fed, out->events, HERALD_EVENTS_MAX, &out->n, err) < 0)
        return -1;
    if (out->n == 0) {
        f->fresh = false;
        return 0;
    }
    if (queue_hooks(f, err) < 0)
        return -1;
    out->type = HERALD_EVENTS;
    out->id = 0;
    out->gone = false;
    out->seq = f->fed;
    f->fed = out->events[out->n - 1].seq;
    f->fresh = out->n == HERALD_EVENTS_MAX;
    herald_protocol_send(&f->line, out);
    return 0;
}

static int
send_hook(struct herald_client *f, struct err *err)
{
    struct tbl_hook h;
    int rc = hook_queue_next(&f->queue, is_held, f, &h, err);
    if (rc != 1)
        return rc;
    f->out.type = HERALD_RUN;
    f->out.tries = h.record.tries;
    f->out.n = 1;
    f->out.events[0] = (struct outbox_event){h.seq, h.record.event};
    hold(f, h.seq, h.record.event.repository);
    herald_protocol_send(&f->line, &f->out);
    return 0;
}

static bool
may_hand_out(const struct herald_client *f)
{
    return f->met && f->held_n < f->jobs && hook_queue_wait_ms(&f->queue) == 0;
}

/* One thing, the most urgent. 1: done. 0: there is nothing to do. -1. */
static int
send_one(struct herald_client *f, struct err *err)
{
    if (f->taken_n > 0) {
        send_taken(f);
        return 1;
    }
    if (f->pages_n > 0)
        return send_page(f, err) < 0 ? -1 : 1;
    if (f->met && f->fresh)
        return send_events(f, err) < 0 ? -1 : 1;
    if (may_hand_out(f))
        return send_hook(f, err) < 0 ? -1 : 1;
    return 0;
}

/* ---- the whole ---- */

/* A bounded number of things; the keeper has other work. */
#define THINGS_MAX 100

static int
exchange(struct herald_client *f, uint64_t now, struct err *err)
{
    int rc = 1;
    if (!f->begun && begin_queue(f, err) < 0)
        return -1;
    if (f->line.fd < 0)
        connect_herald(f, now);
    herald_protocol_flush(&f->line);
    for (int i = 0; rc == 1 && i < THINGS_MAX && herald_protocol_is_free(&f->line); i++) {
        receive(f);
        if (settle_results(f, err) < 0)
            return -1;
        rc = herald_protocol_is_free(&f->line) ? send_one(f, err) : 0;
    }
    if (rc < 0)
        return -1;
    return now >= f->save_at ? save_client_marks(f, now, err) : 0;
}

int
herald_client_step(struct herald_client *f, struct err *err)
{
    uint64_t now = clock_mono_ms();
    if (now < f->retry_at)
        return 0;
    if (exchange(f, now, err) == 0)
        return 0;
    f->retry_at = clock_mono_ms() + RETRY_MS;
    return -1;
}

struct pollfd
herald_client_poll(const struct herald_client *f)
{
    bool waits = clock_mono_ms() < f->retry_at; /* then nothing is taken from it either */
    return (struct pollfd){.fd = waits ? -1 : f->line.fd,
                           .events = herald_protocol_events(&f->line)};
}

static uint64_t
until(uint64_t at, uint64_t now)
{
    return at > now ? at - now : 0;
}

uint64_t
herald_client_wait_ms(const struct herald_client *f)
{
    uint64_t now = clock_mono_ms(), wait = UINT64_MAX;
    if (now < f->retry_at)
        return f->retry_at - now;
    if (f->line.fd < 0)
        return until(f->connect_at, now);
    if (!herald_protocol_is_free(&f->line))
        return UINT64_MAX;
    if (f->taken_n > 0 || f->results_n > 0 || f->pages_n > 0 || (f->met && f->fresh))
        return 0;
    if (f->met && f->held_n < f->jobs)
        wait = hook_queue_wait_ms(&f->queue);
    if (memcmp(&f->marks, &f->saved, sizeof f->marks) != 0 && until(f->save_at, now) < wait)
        wait = until(f->save_at, now);
    return wait;
}

bool
herald_client_is_alone(const struct herald_client *f)
{
    return f->line.fd < 0;
}
