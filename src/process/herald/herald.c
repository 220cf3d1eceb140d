#include "process/herald/herald.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>
#include "domain/events/event_text.h"
#include "process/server/child.h"
#include "process/herald/herald_protocol.h"
#include "process/herald/herald_http.h"
#include "process/herald/herald_job.h"
#include "process/herald/herald_log.h"
#include "process/herald/herald_ring.h"
#include "process/server/process_title.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/banned.h"

/* Descriptors for listeners and for hooks that run, if the limit can be raised so far. */
#define DESCRIPTORS 4096
/* Somebody connects and says nothing. */
#define GUEST_MS 2000
#define BEAT_MS 1000

/* A connection to the feed's socket. */
struct link {
    struct herald_line line;
    bool greeted;     /* it has heard all of what is running */
    bool asked;       /* it has said who it is */
    size_t job;       /* the next of which to tell */
    uint64_t give_up; /* when it has to have said so */
};

struct herald {
    const struct server *server;
    struct hooks hooks;
    struct herald_log log;
    struct herald_ring ring;
    struct herald_http http;
    struct herald_job *jobs;
    size_t jobs_n;
    struct link keeper, guest;
    uint32_t seen; /* up to there events are in the log */
    uint32_t seen_sent;
    bool stopping;
    uint64_t cut_at;
    uint64_t end_at;
    int signals;
    struct herald_message in, out;
    struct pollfd *fds;
};

/* ---- what the keeper says ---- */

static void
print_new_events(struct herald *h, uint64_t now)
{
    const struct herald_message *in = &h->in;
    if (in->id != 0) {
        herald_http_take_page(&h->http, in, now);
        return;
    }
    herald_ring_begin(&h->ring, in->seq);
    for (size_t i = 0; i < in->n; i++) {
        struct buf line;
        buf_init(&line, 2000);
        event_text_log(&line, &in->events[i].event);
        if (buf_ok(&line))
            herald_log_put(&h->log, buf_bytes(&line));
        buf_free(&line);
        herald_ring_add(&h->ring, &in->events[i]);
        h->seen = in->events[i].seq;
    }
}

static struct herald_job *
find_job(struct herald *h, uint32_t seq)
{
    for (size_t i = 0; i < h->jobs_n; i++)
        if (h->jobs[i].state != HERALD_JOB_FREE && h->jobs[i].event.seq == seq)
            return &h->jobs[i];
    return NULL;
}

/* What isn't begun any more stays in the queue, for the next start. */
static void
start_job(struct herald *h, uint64_t now)
{
    if (h->stopping || find_job(h, h->in.events[0].seq) != NULL)
        return;
    for (size_t i = 0; i < h->jobs_n; i++) {
        if (h->jobs[i].state != HERALD_JOB_FREE)
            continue;
        herald_job_start(&h->jobs[i], &h->hooks, &h->in.events[0], h->in.tries,
                         h->server->options->hook_timeout_ms, &h->log, now);
        return;
    }
    log_line(LOG_ERROR, "the keeper wants more hooks at once than there may be", NULL);
}

static void
handle_message(struct herald *h, struct link *l, uint64_t now)
{
    struct herald_job *j;
    if (h->in.type == HERALD_LOOK || h->in.type == HERALD_KEEPER) {
        l->asked = true;
        return;
    }
    if (l != &h->keeper)
        return;
    switch (h->in.type) {
    case HERALD_EVENTS:
        print_new_events(h, now);
        break;
    case HERALD_RUN:
        start_job(h, now);
        break;
    case HERALD_TAKEN:
        j = find_job(h, h->in.seq);
        if (j != NULL && j->state == HERALD_JOB_ENDED)
            j->state = HERALD_JOB_FREE;
        break;
    default:
        break;
    }
}

/* ---- what it hears ---- */

static bool
is_owed(const struct herald_job *j)
{
    return j->state != HERALD_JOB_FREE && !(j->state == HERALD_JOB_ENDED && j->cut);
}

/* What is running, one after the other, and then that this was all. */
static void
greet(struct herald *h, struct link *l)
{
    while (l->job < h->jobs_n && !is_owed(&h->jobs[l->job]))
        l->job++;
    if (l->job < h->jobs_n) {
        const struct outbox_event *e = &h->jobs[l->job++].event;
        h->out.type = HERALD_RUNNING;
        h->out.seq = e->seq;
        memcpy(h->out.repository, e->event.repository, sizeof h->out.repository);
    } else {
        h->out.type = HERALD_HELLO;
        h->out.seq = h->ring.newest;
        l->greeted = true;
    }
    herald_protocol_send(&l->line, &h->out);
}

static bool
report_job(struct herald *h)
{
    for (size_t i = 0; i < h->jobs_n; i++) {
        struct herald_job *j = &h->jobs[i];
        if (j->state != HERALD_JOB_ENDED || j->cut || j->reported)
            continue;
        j->reported = true;
        h->out.type = HERALD_DONE;
        h->out.seq = j->event.seq;
        h->out.ok = j->ok;
        memcpy(h->out.repository, j->event.event.repository, sizeof h->out.repository);
        memcpy(h->out.line, j->last, sizeof h->out.line);
        herald_protocol_send(&h->keeper.line, &h->out);
        return true;
    }
    return false;
}

static bool
tell_one(struct herald *h, struct link *l)
{
    if (!herald_protocol_is_free(&l->line) || !l->asked)
        return false;
    if (!l->greeted) {
        greet(h, l);
        return true;
    }
    if (l != &h->keeper)
        return false;
    if (report_job(h))
        return true;
    if (h->seen != h->seen_sent) {
        h->out.type = HERALD_SEEN;
        h->out.seq = h->seen_sent = h->seen;
        herald_protocol_send(&l->line, &h->out);
        return true;
    }
    if (!herald_http_want_page(&h->http, &h->out))
        return false;
    herald_protocol_send(&l->line, &h->out);
    return true;
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
accept_guest(struct herald *h, uint64_t now)
{
    if (h->guest.line.fd >= 0)
        return;
    int fd = accept4(h->server->extra[SERVER_FEED], NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
    if (fd < 0)
        return;
    h->guest = (struct link){.give_up = now + GUEST_MS};
    herald_protocol_open(&h->guest.line, fd);
}

/* Who says that he is the keeper is it: there is one at a time, and the last knows most. */
static void
promote_guest(struct herald *h)
{
    forget_keeper(h);
    h->keeper = h->guest;
    h->guest.line.fd = -1;
}

static void
serve_link(struct herald *h, struct link *l, uint64_t now)
{
    bool is_keeper = l == &h->keeper;
    if (l->line.fd < 0)
        return;
    herald_protocol_flush(&l->line);
    while (l->line.fd >= 0 && herald_protocol_receive(&l->line, &h->in) == 1) {
        handle_message(h, l, now);
        if (!is_keeper && h->in.type == HERALD_KEEPER) {
            promote_guest(h);
            return;
        }
    }
    if (is_keeper && l->line.fd < 0)
        forget_keeper(h);
    if (!is_keeper && now >= l->give_up)
        herald_protocol_close(&l->line);
}

/* ---- stopping ---- */

static void
stop_serving(struct herald *h, uint64_t now)
{
    if (h->stopping)
        return;
    h->stopping = true;
    h->cut_at = now + HERALD_GRACE_MS;
    h->end_at = h->cut_at + 2 * HERALD_JOB_CUT_MS;
    herald_http_close(&h->http);
}

static void
handle_herald_signals(struct herald *h, uint64_t now)
{
    struct signalfd_siginfo info;
    while (read(h->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        if (info.ssi_signo == SIGTERM)
            stop_serving(h, now);
        else if (info.ssi_signo == SIGUSR1 && h->stopping)
            h->cut_at = now;
        else if (info.ssi_signo == SIGHUP)
            hook_forget(&h->hooks);
    }
}

/* All that runs has ended, and the keeper knows; or it is time. */
static bool
herald_is_over(struct herald *h, uint64_t now)
{
    bool runs = false, owes = false;
    if (!h->stopping)
        return false;
    for (size_t i = 0; i < h->jobs_n; i++) {
        struct herald_job *j = &h->jobs[i];
        if (now >= h->cut_at)
            herald_job_cut(j, now);
        runs = runs || (j->state != HERALD_JOB_FREE && j->state != HERALD_JOB_ENDED);
        owes = owes || (j->state == HERALD_JOB_ENDED && !j->cut);
    }
    bool told = h->keeper.line.fd < 0 || (!owes && h->seen == h->seen_sent);
    return (!runs && told && h->log.text.n == 0) || now >= h->end_at;
}

/* ---- the loop ---- */

static int
herald_timeout(const struct herald *h, uint64_t now)
{
    uint64_t at = now + BEAT_MS;
    for (size_t i = 0; i < h->jobs_n; i++)
        if (herald_job_due(&h->jobs[i]) < at)
            at = herald_job_due(&h->jobs[i]);
    if (h->stopping && at > now + 20)
        at = now + 20;
    return at > now ? (int)(at - now) : 0;
}

/* Their places in fds; the listeners' come behind, and then the jobs'. */
enum place {
    PLACE_SIGNALS,
    PLACE_FEED,
    PLACE_KEEPER,
    PLACE_GUEST,
    PLACE_LOG,
    PLACE_COUNT,
};

static void
wait_and_serve(struct herald *h)
{
    uint64_t now = clock_mono_ms();
    struct pollfd *fds = h->fds;
    bool full = h->guest.line.fd >= 0;
    fds[PLACE_SIGNALS] = (struct pollfd){.fd = h->signals, .events = POLLIN};
    fds[PLACE_FEED] =
        (struct pollfd){.fd = full ? -1 : h->server->extra[SERVER_FEED], .events = POLLIN};
    fds[PLACE_KEEPER] =
        (struct pollfd){.fd = h->keeper.line.fd, .events = herald_protocol_events(&h->keeper.line)};
    fds[PLACE_GUEST] =
        (struct pollfd){.fd = h->guest.line.fd, .events = herald_protocol_events(&h->guest.line)};
    fds[PLACE_LOG] = herald_log_poll(&h->log);
    size_t listeners = herald_http_poll(&h->http, fds + PLACE_COUNT);
    struct pollfd *outputs = fds + PLACE_COUNT + listeners;
    for (size_t i = 0; i < h->jobs_n; i++) {
        bool runs = h->jobs[i].state != HERALD_JOB_FREE;
        outputs[i] = (struct pollfd){.fd = runs ? h->jobs[i].out : -1, .events = POLLIN};
    }
    if (poll(fds, PLACE_COUNT + listeners + h->jobs_n, herald_timeout(h, now)) < 0)
        return; /* interrupted */
    now = clock_mono_ms();
    if (fds[PLACE_SIGNALS].revents != 0)
        handle_herald_signals(h, now);
    for (size_t i = 0; i < h->jobs_n; i++)
        if (outputs[i].fd >= 0 && outputs[i].revents != 0)
            herald_job_read(&h->jobs[i], &h->log, now);
    herald_http_step(&h->http, fds + PLACE_COUNT, listeners, now);
    if (fds[PLACE_FEED].revents != 0)
        accept_guest(h, now);
}

static void
run_herald(struct herald *h)
{
    uint64_t now = clock_mono_ms();
    serve_link(h, &h->guest, now);
    serve_link(h, &h->keeper, now);
    for (size_t i = 0; i < h->jobs_n; i++)
        herald_job_tick(&h->jobs[i], &h->log, now);
    herald_http_push(&h->http, now);
    herald_log_flush(&h->log);
    while (tell_one(h, &h->guest) || tell_one(h, &h->keeper))
        ;
}

/* ---- the whole ---- */

static int
block_herald_signals(void)
{
    static const int caught[] = {SIGCHLD, SIGTERM, SIGHUP, SIGUSR1};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++)
        sigaddset(&set, caught[i]);
    sigprocmask(SIG_SETMASK, &set, NULL);
    return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void
raise_limit(void)
{
    struct rlimit l;
    if (getrlimit(RLIMIT_NOFILE, &l) < 0 || l.rlim_cur >= DESCRIPTORS)
        return;
    l.rlim_cur = l.rlim_max < DESCRIPTORS ? l.rlim_max : DESCRIPTORS;
    setrlimit(RLIMIT_NOFILE, &l);
}

static int
set_up_herald(struct herald *h, const struct server *s, struct err *err)
{
    *h = (struct herald){
        .server = s, .jobs_n = s->options->hook_jobs, .keeper.line.fd = -1, .guest.line.fd = -1};
    server_hooks(s, &h->hooks);
    h->hooks.quiet = true; /* the keeper looks first, and says it */
    herald_log_init(&h->log, STDOUT_FILENO);
    h->signals = block_herald_signals();
    h->jobs = mem_array(h->jobs_n, sizeof *h->jobs);
    h->fds = mem_array(PLACE_COUNT + 1 + HERALD_HTTP_PLACES + h->jobs_n, sizeof *h->fds);
    if (h->signals < 0)
        return err_errno(err, "cannot catch signals");
    herald_http_init(&h->http, s->extra[SERVER_HERALD], &h->ring);
    return 0;
}

int
herald_main(const struct server *s, pid_t master)
{
    struct herald h;
    struct err err;
    const int keep[] = {s->extra[SERVER_HERALD], s->extra[SERVER_FEED]};
    child_begin(s, master, keep, 2, NULL);
    process_title_set("herald");
    raise_limit();
    if (set_up_herald(&h, s, &err) < 0) {
        log_line(LOG_ERROR, "herald can't begin", "why=%s", err.message);
        return CHILD_FAILED;
    }
    do {
        wait_and_serve(&h);
        run_herald(&h);
    } while (!herald_is_over(&h, clock_mono_ms()));
    herald_protocol_close(&h.keeper.line);
    herald_protocol_close(&h.guest.line);
    herald_http_free(&h.http);
    herald_ring_free(&h.ring);
    herald_log_free(&h.log);
    free(h.jobs);
    free(h.fds);
    fdio_close(h.signals);
    return CHILD_DONE;
}
