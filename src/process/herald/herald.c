#include "process/herald/herald.h"
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/access/access_file.h"
#include "domain/events/event_text.h"
#include "process/herald/herald_http.h"
#include "process/herald/herald_job.h"
#include "process/herald/herald_log.h"
#include "process/herald/herald_protocol.h"
#include "process/herald/herald_ring.h"
#include "process/server/child.h"
#include "process/server/process_title.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/mem.h"

/* Descriptors for listeners and hooks; the limit is raised to this if possible. */
#define DESCRIPTORS 4096
#define GUEST_MS 2000 /* time for a connection to identify itself */

/* A connection to the feed's socket. */
struct link {
    struct herald_line line;
    struct loop_fd ready;
    bool asked;   /* it has identified itself */
    bool greeted; /* all running hooks were sent to it */
    size_t job;   /* the next hook to send to it */
};

struct herald {
    const struct server *server;
    struct loop loop;
    struct registry reg; /* without a store: for rights */
    struct access_file access;
    struct hooks hooks;
    struct herald_log log;
    struct herald_ring ring;
    struct herald_http http;
    struct herald_job_setting setting;
    struct herald_job *jobs;
    size_t jobs_n;
    struct loop_fd connections;
    struct link keeper;
    struct link guest; /* a connection that hasn't identified itself as the keeper */
    struct loop_timer guest_limit;
    bool follows;              /* another node leads */
    struct loop_timer no_lead; /* when this one doesn't lead any more */
    uint32_t seen;             /* events up to this one are in the log */
    uint32_t seen_sent;
    bool stopping, over;
    struct loop_timer cut, end; /* deadlines while it stops: of the hooks, and of the herald */
    struct herald_message in, out;
};

/* ---- messages from the keeper ---- */

static void
log_event(struct herald *h, const struct outbox_event *e)
{
    struct buf line;

    buf_init(&line, 2000);
    event_text_log(&line, &e->event);
    if (buf_ok(&line))
        herald_log_put(&h->log, buf_bytes(&line));
    buf_free(&line);
    h->seen = e->seq;
}

/* A new leader begins with the first event that the one before has not entered, of which the ring
 * may have some. */
static void
take_new_events(struct herald *h)
{
    const struct herald_message *in = &h->in;

    herald_ring_begin(&h->ring, in->seq);
    for (size_t i = 0; i < in->n; i++) {
        if (!h->follows && in->events[i].seq > h->seen)
            log_event(h, &in->events[i]);
        if (in->events[i].seq > h->ring.newest)
            herald_ring_add(&h->ring, &in->events[i]);
    }
    access_look(&h->reg);
    herald_http_push(&h->http);
}

static struct herald_job *
find_job(struct herald *h, uint32_t seq)
{
    for (size_t i = 0; i < h->jobs_n; i++)
        if (h->jobs[i].state != HERALD_JOB_FREE && h->jobs[i].event.seq == seq)
            return &h->jobs[i];
    return NULL;
}

/* A herald that stops begins no hook: the hook stays in the queue for the next start. */
static void
start_job(struct herald *h)
{
    if (h->stopping || find_job(h, h->in.events[0].seq) != NULL)
        return;
    for (size_t i = 0; i < h->jobs_n; i++) {
        if (h->jobs[i].state != HERALD_JOB_FREE)
            continue;
        herald_job_start(&h->jobs[i], &h->setting, &h->in.events[0], h->in.tries);
        return;
    }
    log_line(LOG_ERROR, "the keeper starts more hooks at once than --hook-jobs allows", NULL);
}

/* Ends all hooks, whose results nobody waits for: the leader runs them again. */
static void
drop_all_jobs(struct herald *h)
{
    for (size_t i = 0; i < h->jobs_n; i++)
        if (h->jobs[i].state != HERALD_JOB_FREE) {
            herald_job_cut(&h->jobs[i]);
            h->jobs[i].cut = true;
        }
}

/* True if none is left. */
static bool
forget_dropped_jobs(struct herald *h)
{
    bool is_left = false;

    for (size_t i = 0; i < h->jobs_n; i++) {
        struct herald_job *j = &h->jobs[i];

        if (j->cut && j->state == HERALD_JOB_ENDED)
            *j = (struct herald_job){.state = HERALD_JOB_FREE};
        is_left = is_left || (j->cut && j->state != HERALD_JOB_FREE);
    }
    return !is_left;
}

static void
take_follow(struct herald *h)
{
    h->follows = true;
    loop_timer_stop(&h->no_lead);
    drop_all_jobs(h);
}

static void
take_lead(struct herald *h)
{
    h->follows = false;
    loop_timer_at(&h->no_lead, loop_now(&h->loop) + HERALD_LEAD_MS);
}

static void
handle_keeper_message(struct herald *h)
{
    struct herald_job *j;

    switch (h->in.type) {
    case HERALD_EVENTS:
        if (h->in.id != 0)
            herald_http_take_page(&h->http, &h->in);
        else
            take_new_events(h);
        break;
    case HERALD_RUN:
        start_job(h);
        break;
    case HERALD_TAKEN:
        j = find_job(h, h->in.seq);
        if (j != NULL && j->state == HERALD_JOB_ENDED)
            j->state = HERALD_JOB_FREE;
        break;
    case HERALD_LEAD:
        take_lead(h);
        break;
    case HERALD_FOLLOW:
        take_follow(h);
        break;
    default:
        break;
    }
}

/* ---- messages to the keeper, and to a guest ---- */

/* A hook that was cut isn't reported: it runs again after the next start. */
static bool
is_to_be_reported(const struct herald_job *j)
{
    return j->state == HERALD_JOB_ENDED && !j->cut;
}

static bool
is_under_way(const struct herald_job *j)
{
    return j->state != HERALD_JOB_FREE && (j->state != HERALD_JOB_ENDED || !j->cut);
}

/* Reports one running hook, or that there are no more. */
static void
greet(struct herald *h, struct link *l)
{
    while (l->job < h->jobs_n && !is_under_way(&h->jobs[l->job]))
        l->job++;
    if (l->job < h->jobs_n) {
        const struct outbox_event *e = &h->jobs[l->job++].event;
        h->out.type = HERALD_RUNNING;
        h->out.seq = e->seq;
        memcpy(h->out.repository, e->event.repository, sizeof h->out.repository);
    } else {
        l->greeted = true;
        h->out.type = HERALD_HELLO;
        h->out.seq = h->ring.newest;
    }
}

static bool
report_job(struct herald *h)
{
    for (size_t i = 0; i < h->jobs_n; i++) {
        struct herald_job *j = &h->jobs[i];
        if (!is_to_be_reported(j) || j->reported)
            continue;
        j->reported = true;
        h->out.type = HERALD_DONE;
        h->out.seq = j->event.seq;
        h->out.ok = j->ok;
        memcpy(h->out.repository, j->event.event.repository, sizeof h->out.repository);
        memcpy(h->out.line, j->last, sizeof h->out.line);
        return true;
    }
    return false;
}

static bool
report_seen(struct herald *h)
{
    if (h->seen == h->seen_sent)
        return false;
    h->out.type = HERALD_SEEN;
    h->out.seq = h->seen_sent = h->seen;
    return true;
}

/* Fills h->out with the next message for that link. */
static bool
next_message(struct herald *h, struct link *l)
{
    if (!l->asked)
        return false;
    /* A hook that was dropped must not run beside its next run. */
    if (l == &h->keeper && !l->greeted && !h->stopping && !forget_dropped_jobs(h))
        return false;
    if (!l->greeted) {
        greet(h, l);
        return true;
    }
    return l == &h->keeper &&
           (report_job(h) || report_seen(h) || herald_http_want_page(&h->http, &h->out));
}

static void
send_messages(struct herald *h, struct link *l)
{
    while (herald_protocol_is_free(&l->line) && next_message(h, l))
        herald_protocol_send(&l->line, &h->out);
    loop_fd_set(&l->ready, l->line.fd, l->line.out.n > 0 ? POLLIN | POLLOUT : POLLIN);
}

/* ---- connections ---- */

static void
forget_keeper(struct herald *h)
{
    herald_protocol_close(&h->keeper.line);
    herald_http_forget_pages(&h->http);
    h->seen_sent = 0;
    for (size_t i = 0; i < h->jobs_n; i++)
        h->jobs[i].reported = false;
}

static void
on_lead_lost(void *arg)
{
    struct herald *h = arg;

    log_line(LOG_WARN, "this node may not lead any more: its hooks end", NULL);
    drop_all_jobs(h);
    forget_keeper(h); /* if it leads nevertheless, it comes again, and learns of it */
}

static void
close_guest(void *arg)
{
    struct herald *h = arg;

    herald_protocol_close(&h->guest.line);
}

/* A peer that identifies itself as the keeper replaces the previous one. */
static void
promote_guest(struct herald *h)
{
    forget_keeper(h);
    h->keeper.line = h->guest.line;
    h->keeper.asked = true;
    h->keeper.greeted = false;
    h->keeper.job = 0;
    h->guest.line.fd = -1;
}

static void
on_guest_ready(void *arg)
{
    struct herald *h = arg;

    herald_protocol_flush(&h->guest.line);
    while (h->guest.line.fd >= 0 && herald_protocol_receive(&h->guest.line, &h->in) == 1) {
        if (h->in.type == HERALD_KEEPER) {
            promote_guest(h);
            return;
        }
        h->guest.asked = h->guest.asked || h->in.type == HERALD_LOOK;
    }
}

static void
on_keeper_ready(void *arg)
{
    struct herald *h = arg;

    herald_protocol_flush(&h->keeper.line);
    while (h->keeper.line.fd >= 0 && herald_protocol_receive(&h->keeper.line, &h->in) == 1)
        handle_keeper_message(h);
    if (h->keeper.line.fd < 0)
        forget_keeper(h);
}

static void
on_guest_connection(void *arg)
{
    struct herald *h = arg;
    int fd = accept4(h->server->extra[SERVER_FEED], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd < 0)
        return;
    loop_timer_at(&h->guest_limit, loop_now(&h->loop) + GUEST_MS);
    h->guest.asked = h->guest.greeted = false;
    h->guest.job = 0;
    herald_protocol_open(&h->guest.line, fd);
}

/* ---- stopping ---- */

static void
on_cut(void *arg)
{
    struct herald *h = arg;

    for (size_t i = 0; i < h->jobs_n; i++)
        herald_job_cut(&h->jobs[i]);
}

static void
on_end(void *arg)
{
    struct herald *h = arg;

    h->over = true;
}

static void
stop_herald(struct herald *h)
{
    uint64_t cut_at = loop_now(&h->loop) + HERALD_GRACE_MS;

    if (h->stopping)
        return;
    h->stopping = true;
    loop_timer_at(&h->cut, cut_at);
    loop_timer_at(&h->end, cut_at + 2 * HERALD_JOB_CUT_MS);
    herald_http_close(&h->http);
}

static void
on_herald_signal(void *arg, int number)
{
    struct herald *h = arg;

    if (number == SIGTERM)
        stop_herald(h);
    else if (number == SIGUSR1 && h->stopping)
        on_cut(h);
    else if (number == SIGHUP)
        hook_forget(&h->hooks);
}

/* True if each hook has ended, the keeper knows the results, and the log is written. */
static bool
is_all_done(const struct herald *h)
{
    bool keeper = h->keeper.line.fd >= 0;

    if (h->log.text.n > 0 || (keeper && h->seen != h->seen_sent))
        return false;
    for (size_t i = 0; i < h->jobs_n; i++) {
        const struct herald_job *j = &h->jobs[i];
        if (j->state != HERALD_JOB_FREE && j->state != HERALD_JOB_ENDED)
            return false;
        if (keeper && is_to_be_reported(j))
            return false;
    }
    return true;
}

/* ---- the whole ---- */

static int
set_up_herald(struct herald *h, const struct server *s, struct err *err)
{
    static const int caught[] = {SIGTERM, SIGHUP, SIGUSR1};

    *h = (struct herald){
        .server = s, .jobs_n = s->options->hook_jobs, .keeper.line.fd = -1, .guest.line.fd = -1};
    loop_init(&h->loop);
    server_hooks(s, &h->hooks);
    h->hooks.quiet = true; /* the keeper looks for hooks first, and logs a warning */
    herald_log_init(&h->log, &h->loop, STDOUT_FILENO);
    child_registry(s, NULL, &h->reg);
    h->reg.access = &h->access;
    access_look(&h->reg);
    herald_http_init(&h->http, &h->loop, s->extra[SERVER_HERALD], &h->reg, &h->ring);
    h->setting = (struct herald_job_setting){
        .loop = &h->loop,
        .log = &h->log,
        .hooks = &h->hooks,
        .limit_ms = s->options->hook_timeout_ms,
    };
    h->jobs = mem_array(h->jobs_n, sizeof *h->jobs);
    loop_fd_init(&h->keeper.ready, &h->loop, on_keeper_ready, h);
    loop_fd_init(&h->guest.ready, &h->loop, on_guest_ready, h);
    loop_fd_init(&h->connections, &h->loop, on_guest_connection, h);
    loop_timer_init(&h->guest_limit, &h->loop, close_guest, h);
    loop_timer_init(&h->cut, &h->loop, on_cut, h);
    loop_timer_init(&h->no_lead, &h->loop, on_lead_lost, h);
    loop_timer_init(&h->end, &h->loop, on_end, h);
    return loop_signals(&h->loop, caught, sizeof caught / sizeof *caught, on_herald_signal, h, err);
}

static int
run_herald(struct herald *h, struct err *err)
{
    for (;;) {
        send_messages(h, &h->guest);
        send_messages(h, &h->keeper);
        /* Only one connection that isn't the keeper's at a time; others wait. */
        loop_fd_set(&h->connections, h->server->extra[SERVER_FEED],
                    h->guest.line.fd < 0 ? POLLIN : 0);
        if (h->over || (h->stopping && is_all_done(h)))
            return 0;
        if (loop_wait(&h->loop, err) != 0)
            return -1;
    }
}

int
herald_main(const struct server *s, pid_t master)
{
    struct herald h;
    struct err err;
    const int keep[] = {s->extra[SERVER_HERALD], s->extra[SERVER_FEED]};
    int rc;

    child_begin(s, master, keep, 2, NULL);
    process_title_set("herald");
    fdio_raise_limit(DESCRIPTORS);
    rc = set_up_herald(&h, s, &err);
    if (rc == 0)
        rc = run_herald(&h, &err);
    if (rc != 0)
        log_line(LOG_ERROR, "the herald failed", "why=%s", err.message);
    herald_protocol_close(&h.keeper.line);
    herald_protocol_close(&h.guest.line);
    herald_http_free(&h.http);
    herald_ring_free(&h.ring);
    herald_log_free(&h.log);
    free(h.jobs);
    loop_free(&h.loop);
    return rc == 0 ? CHILD_DONE : CHILD_FAILED;
}
