#include "process/master/children.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/keeper/keeper.h"
#include "process/master/recovery.h"
#include "process/server/child.h"
#include "process/server/procfs.h"
#include "process/worker/worker.h"
#include "storage/files/disk_space.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

#define DEATHS_OUTSIDE_MAX 20 /* then a recovery clears up */
#define FAILURES_MAX 5        /* recoveries in a row */
#define FAILURE_PAUSE_MS 100  /* doubled each time */
#define ROUNDS_MAX 10         /* recoveries of a start in which never all become ready */
#define CRASH_BURST 60
#define CRASH_REFILL_MS 1000
#define FORK_PAUSE_MS 1000
#define FAULTS_MAX 7 /* the pause of recoveries that a fault of the machine lets fail: 12.8 s */
/* On a full disk the master never gives up. */
#define DISK_FULL_PAUSE_MS 5000
#define DISK_FULL_ROOM (1u << 20) /* with less, no process can join the database */
#define DISK_FULL_LOG_MS 60000
/* A recovery is worth waiting for in a socket. After this time nginx gets an error, and answers
 * 503. */
#define UNSERVED_MS 5000
#define TERM_EACH_MS 100
#define TERM_FOR_MS 1500
#define DRAIN_EACH_MS 10
#define TERM_FASTCGI_MS 7000 /* with --fastcgi: no nginx of ours has waited for the requests */

struct children_shared {
    char message[ERR_MESSAGE_MAX]; /* of a recovery that failed */
    struct kv_slot slots[];
};

static size_t
shared_size(const struct children *c)
{
    return sizeof(struct children_shared) + c->n * sizeof(struct kv_slot);
}

static void
name_member(const struct children_member *m, char out[32])
{
    if (m->kind == CHILDREN_WORKER)
        snprintf(out, 32, "worker %s %u", pools[m->pool].name, m->number);
    else
        snprintf(out, 32, "%s", m->kind == CHILDREN_KEEPER ? "keeper" : "command");
}

int
children_init(struct children *c, const struct server *s, struct loop *loop, struct err *err)
{
    size_t i = 0;

    *c = (struct children){.server = s, .loop = loop, .n = 1 + CONTROL_DOOR_MAX};
    for (int pool = 0; pool < POOL_COUNT; pool++)
        c->n += pool_workers((enum pool_id)pool, s->options);
    start_throttle_init(&c->throttle, CRASH_BURST, CRASH_REFILL_MS, loop_now(loop));
    c->shared =
        mmap(NULL, shared_size(c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->shared == MAP_FAILED)
        return err_errno(err, "cannot share memory between %zu processes", c->n);
    c->v = mem_array(c->n, sizeof *c->v);
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (unsigned k = 1; k <= pool_workers((enum pool_id)pool, s->options); k++)
            c->v[i++] = (struct children_member){.pool = (enum pool_id)pool, .number = k};
    c->v[i++].kind = CHILDREN_KEEPER;
    while (i < c->n)
        c->v[i++].kind = CHILDREN_COMMAND;
    for (i = 0; i < c->n; i++) {
        c->v[i].children = c;
        c->v[i].slot = &c->shared->slots[i];
        c->v[i].counts = metrics_place_of(&s->metrics, (unsigned)i + 1);
    }
    return 0;
}

void
children_free(struct children *c)
{
    munmap(c->shared, shared_size(c));
    free(c->v);
}

/* ---- the full disk ---- */

/* Regions that can't be allocated cause a SIGBUS. */
static bool
died_of_full_disk(const struct children *c, int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == CHILD_NO_SPACE;
    return WTERMSIG(status) == SIGBUS &&
           disk_space_free(c->server->dir.fd) < disk_space_margin(c->server->dir.fd);
}

static void
note_full_disk(struct children *c, const char *why)
{
    uint64_t now = loop_now(c->loop);

    if (!c->disk_full || now >= c->disk_full_log_at) {
        log_line(LOG_ERROR, "the disk is full: waiting for room", "why=%s free=%llu needed=%llu",
                 *why != '\0' ? why : "processes can't start",
                 (unsigned long long)disk_space_free(c->server->dir.fd),
                 (unsigned long long)disk_space_needed(c->server->dir.fd));
        c->disk_full_log_at = now + DISK_FULL_LOG_MS;
    }
    c->disk_full = true;
    disk_space_give(c->server->dir.fd);
}

static bool
has_room_to_start(struct children *c)
{
    if (!c->disk_full || disk_space_free(c->server->dir.fd) >= DISK_FULL_ROOM)
        return true;
    note_full_disk(c, "");
    return false;
}

/* ---- killing all ---- */

static bool
slot_is_empty(const struct children *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].child.pid != 0)
            return false;
    return true;
}

static void
signal_members(const struct children *c, int number)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].child.pid != 0)
            kill(c->v[i].child.pid, number);
}

static void
recover_at(struct children *c, uint64_t at)
{
    c->state = CHILDREN_KILLING;
    c->recover_at = at;
}

static void
kill_members(struct children *c, const char *why)
{
    uint64_t now = loop_now(c->loop);
    uint64_t wait = start_throttle_take(&c->throttle, now);

    log_line(LOG_WARN, "recovering the database", "why=%s wait_ms=%llu", why,
             (unsigned long long)wait);
    recover_at(c, now + wait);
    signal_members(c, SIGKILL);
}

/* ---- processes ---- */

static enum metrics_process
process_of(const struct children_member *m)
{
    if (m->kind == CHILDREN_WORKER)
        return (enum metrics_process)m->pool;
    return m->kind == CHILDREN_KEEPER ? METRICS_KEEPER : METRICS_COMMAND;
}

static void
count_restart(const struct children_member *m, bool planned)
{
    if (m->kind != CHILDREN_COMMAND)
        server_count_restart(m->children->server, process_of(m), planned);
}

void
children_member_died(struct children_member *m, pid_t pid, int status)
{
    struct children *c = m->children;
    uint64_t now = loop_now(c->loop);
    bool in_db = atomic_load(&m->slot->in_db);
    bool lost = WIFEXITED(status) && WEXITSTATUS(status) == CHILD_LOST;
    char name[32];

    atomic_store(&m->slot->ready, false);
    atomic_store(&m->slot->pid, 0);
    metrics_leave(m->counts);
    if (c->state != CHILDREN_SERVING)
        return;
    count_restart(m, status == CHILD_DONE && !in_db);
    if (!in_db && died_of_full_disk(c, status)) {
        note_full_disk(c, "");
        m->start_at = now + FORK_PAUSE_MS;
        return;
    }
    name_member(m, name);
    if (status != CHILD_DONE || in_db)
        child_log_death(name, pid, status);
    else if (m->kind != CHILDREN_COMMAND)
        log_line(LOG_INFO, "process ended", "name=%s pid=%d", name, (int)pid);
    if (in_db || lost) {
        kill_members(c, lost ? "a process found it damaged" : "a process died inside");
    } else if (status == CHILD_DONE) { /* told to, or after its last request */
        m->start_at = now;
    } else if (c->server->options->database == NULL && ++c->deaths_outside >= DEATHS_OUTSIDE_MAX) {
        kill_members(c, "many processes died outside");
    } else {
        m->start_at = start_throttle_next(&c->throttle, name, now);
    }
}

static void
on_member_end(void *arg, pid_t pid, int status)
{
    children_member_died(arg, pid, status);
}

/* Workers for pre-hooks run once there was a pre-hook; processes for commands start when they are
 * asked for. */
static bool
is_wanted(const struct children_member *m)
{
    return m->kind == CHILDREN_KEEPER ||
           (m->kind == CHILDREN_WORKER && (m->pool != POOL_GATE || m->children->server->gate));
}

static int
run_member(void *arg, pid_t master)
{
    const struct children_member *m = arg;
    const struct server *s = m->children->server;
    const struct child_place place = {m->slot, m->counts};

    if (m->kind == CHILDREN_COMMAND)
        return control_door_main(s, master, &place, m->request);
    if (m->kind == CHILDREN_KEEPER)
        return keeper_main(s, master, &place);
    return worker_main(s, master, m->pool, m->number, &place);
}

/* The slot says "inside" from before the fork: a death on the way in counts as well. */
static void
start_member(struct children_member *m)
{
    struct children *c = m->children;
    uint64_t now = loop_now(c->loop);

    atomic_store(&m->slot->since_ms, now);
    atomic_store(&m->slot->ready, false);
    atomic_store(&m->slot->in_db, c->server->options->database == NULL);
    if (loop_fork(c->loop, &m->child, run_member, on_member_end, m) == 0) {
        atomic_store(&m->slot->pid, m->child.pid);
        metrics_enter(m->counts, process_of(m));
        return;
    }
    log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
    atomic_store(&m->slot->in_db, false);
    m->start_at = now + FORK_PAUSE_MS;
}

bool
children_lend(struct children *c, const struct control_door_request *r)
{
    if (c->state != CHILDREN_SERVING)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        struct children_member *m = &c->v[i];
        if (m->kind != CHILDREN_COMMAND || m->child.pid != 0)
            continue;
        m->request = r;
        start_member(m);
        m->request = NULL;
        return m->child.pid != 0;
    }
    return false;
}

/* ---- the recovery ---- */

static void
serve_after_recovery(struct children *c)
{
    metrics_count(metrics_place_of(&c->server->metrics, 0), METRIC_RECOVERIES, 0, 1);
    c->failures = 0;
    c->disk_full_recoveries = 0;
    c->faults = 0;
    c->deaths_outside = 0;
    c->rounds++;
    if (!c->were_ready && c->rounds > ROUNDS_MAX) {
        c->state = CHILDREN_BROKEN;
        return;
    }
    c->state = CHILDREN_SERVING;
    for (size_t i = 0; i < c->n; i++)
        if (is_wanted(&c->v[i]))
            start_member(&c->v[i]);
}

static void
on_recovery_end(void *arg, pid_t pid, int status)
{
    struct children *c = arg;
    uint64_t now = loop_now(c->loop), pause;

    if (c->state == CHILDREN_STOPPING)
        return;
    if (status == CHILD_DONE) {
        serve_after_recovery(c);
    } else if (died_of_full_disk(c, status)) {
        pause = (uint64_t)FAILURE_PAUSE_MS << c->disk_full_recoveries;
        note_full_disk(c, c->shared->message);
        c->disk_full_recoveries += pause < DISK_FULL_PAUSE_MS;
        recover_at(c, now + pause);
    } else if (c->were_ready && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FAULT) {
        /* The log has said why. A child that worked once may work again. */
        c->faults += c->faults < FAULTS_MAX;
        recover_at(c, now + ((uint64_t)FAILURE_PAUSE_MS << c->faults));
    } else if (!c->were_ready && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_REFUSED) {
        c->refused = true;
        c->state = CHILDREN_BROKEN;
    } else if (!c->were_ready && WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DAMAGED) {
        c->failures = FAILURES_MAX;
        c->state = CHILDREN_BROKEN;
    } else {
        child_log_death("recovery", pid, status);
        c->is_fault = WIFEXITED(status) && WEXITSTATUS(status) == CHILD_FAULT;
        c->failures++;
        recover_at(c, now + (FAILURE_PAUSE_MS << c->failures));
        if (c->failures >= FAILURES_MAX)
            c->state = CHILDREN_BROKEN;
    }
}

static int
run_recovery(void *arg, pid_t master)
{
    const struct children *c = arg;

    return recovery_main(c->server, master, c->shared->message);
}

static void
start_recovery(struct children *c)
{
    c->state = CHILDREN_RECOVERING;
    c->shared->message[0] = '\0';
    if (loop_fork(c->loop, &c->recovery, run_recovery, on_recovery_end, c) == 0)
        return;
    log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
    recover_at(c, loop_now(c->loop) + FORK_PAUSE_MS);
}

void
children_start(struct children *c)
{
    for (int pool = 0; pool < POOL_COUNT; pool++)
        c->served_at[pool] = loop_now(c->loop);
    start_recovery(c);
}

/* ---- the watchdog ---- */

/* While a debugger holds one of the processes, the others may wait for it inside the database. */
static bool
is_debugged(const struct children *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].child.pid != 0 && procfs_tracer(c->v[i].child.pid) != 0)
            return true;
    return false;
}

static void
kill_hanging(struct children *c)
{
    uint64_t now = loop_now(c->loop), since;
    char name[32];

    for (size_t i = 0; i < c->n; i++) {
        const struct children_member *m = &c->v[i];
        if (m->child.pid == 0 || !atomic_load(&m->slot->in_db))
            continue;
        since = atomic_load(&m->slot->since_ms);
        if (since < c->spared_at)
            since = c->spared_at;
        if (since > now || now - since <= c->server->options->watchdog_ms)
            continue;
        name_member(m, name);
        if (is_debugged(c)) {
            log_line(LOG_WARN, "process hangs inside the database: spared for a debugger",
                     "name=%s pid=%d ms=%llu", name, (int)m->child.pid,
                     (unsigned long long)(now - since));
            c->spared_at = now;
            return;
        }
        log_line(LOG_ERROR, "process hangs inside the database", "name=%s pid=%d ms=%llu", name,
                 (int)m->child.pid, (unsigned long long)(now - since));
        kill_members(c, "a process hangs inside");
        return;
    }
}

static bool
all_are_ready(const struct children *c)
{
    if (c->state != CHILDREN_SERVING)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        const struct children_member *m = &c->v[i];
        if (is_wanted(m) && (m->child.pid == 0 || !atomic_load(&m->slot->ready)))
            return false;
    }
    return true;
}

/* ---- what is due ---- */

static void
tick_serving(struct children *c)
{
    for (size_t i = 0; i < c->n; i++) {
        struct children_member *m = &c->v[i];
        if (m->child.pid == 0 && is_wanted(m) && loop_now(c->loop) >= m->start_at &&
            has_room_to_start(c))
            start_member(m);
    }
    kill_hanging(c);
    if (!all_are_ready(c))
        return;
    c->were_ready = true;
    c->rounds = 0;
    if (c->disk_full)
        log_line(LOG_INFO, "the disk has room again: all processes run again", NULL);
    c->disk_full = false;
}

/* Short requests only: /healthz and pulls. */
static bool
is_short(const struct children_member *m)
{
    return m->kind == CHILDREN_WORKER && (m->pool == POOL_API || m->pool == POOL_STATUS);
}

static bool
is_any_left(const struct children *c, bool short_too)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].child.pid != 0 && c->v[i].kind != CHILDREN_KEEPER &&
            (short_too || !is_short(&c->v[i])))
            return true;
    return false;
}

/* Repeated: a worker loses a signal that comes just before it begins to wait. */
static void
drain_members(struct children *c)
{
    bool slow_gone = c->herald_gone && !is_any_left(c, false);

    for (size_t i = 0; i < c->n; i++) {
        const struct children_member *m = &c->v[i];

        if (m->child.pid == 0)
            continue;
        if (m->kind == CHILDREN_WORKER && (slow_gone || !is_short(m)))
            kill(m->child.pid, SIGUSR1);
        else if (m->kind == CHILDREN_COMMAND ||
                 (m->kind == CHILDREN_KEEPER && slow_gone && !is_any_left(c, true)))
            kill(m->child.pid, SIGTERM);
    }
}

static void
tick_draining(struct children *c)
{
    uint64_t now = loop_now(c->loop);

    if (now >= c->kill_at) {
        log_line(LOG_WARN, "requests take too long, and are cut off", "ms=%d", CHILDREN_DRAIN_MS);
        children_stop(c);
    } else if (now >= c->term_at) {
        drain_members(c);
        c->term_at = now + DRAIN_EACH_MS;
    }
}

static void
tick_stopping(struct children *c)
{
    uint64_t now = loop_now(c->loop);

    if (c->draining) {
        tick_draining(c);
    } else if (now >= c->kill_at) {
        signal_members(c, SIGKILL);
        if (c->recovery.pid != 0)
            kill(c->recovery.pid, SIGKILL); /* harmless: the next start recovers as well */
    } else if (now >= c->term_at) {
        /* Repeated: a worker loses a signal that comes just before it begins to wait. */
        signal_members(c, SIGTERM);
        c->term_at = now + TERM_EACH_MS;
    }
}

static bool
has_worker(const struct children *c, enum pool_id pool)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].kind == CHILDREN_WORKER && c->v[i].pool == pool &&
            (c->v[i].child.pid != 0 || !is_wanted(&c->v[i])))
            return true;
    return false;
}

/* Closes the connections that wait in a socket, or to be taken over, without workers: nginx then
 * answers 503. */
static void
turn_away_unserved(struct children *c)
{
    uint64_t now = loop_now(c->loop);
    int fd;

    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct pollfd waiting = {.fd = c->server->sockets[pool], .events = POLLIN};
        if (has_worker(c, (enum pool_id)pool))
            c->served_at[pool] = now;
        while (now - c->served_at[pool] > UNSERVED_MS && poll(&waiting, 1, 0) == 1) {
            fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0)
                break;
            fdio_close(fd);
        }
    }
    while (now - c->served_at[POOL_API] > UNSERVED_MS &&
           (fd = fd_exchange_take(&c->server->exchange)) >= 0)
        fdio_close(fd);
}

void
children_tick(struct children *c)
{
    if (c->state != CHILDREN_STOPPING)
        turn_away_unserved(c);
    switch (c->state) {
    case CHILDREN_SERVING:
        tick_serving(c);
        break;
    case CHILDREN_KILLING:
        if (slot_is_empty(c) && loop_now(c->loop) >= c->recover_at)
            start_recovery(c);
        break;
    case CHILDREN_STOPPING:
        tick_stopping(c);
        break;
    case CHILDREN_RECOVERING:
    case CHILDREN_BROKEN:
        break;
    }
}

pid_t
children_keeper(const struct children *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].kind == CHILDREN_KEEPER)
            return c->v[i].child.pid;
    return 0;
}

bool
children_ready(const struct children *c)
{
    return c->were_ready && all_are_ready(c);
}

void
children_stop(struct children *c)
{
    c->state = CHILDREN_STOPPING;
    c->draining = false;
    c->term_at = loop_now(c->loop);
    c->kill_at = c->term_at + (c->server->options->fastcgi != NULL ? TERM_FASTCGI_MS : TERM_FOR_MS);
    tick_stopping(c);
}

void
children_drain(struct children *c)
{
    c->state = CHILDREN_STOPPING;
    c->draining = true;
    c->term_at = loop_now(c->loop);
    c->kill_at = c->term_at + CHILDREN_DRAIN_MS;
    tick_stopping(c);
}

void
children_let_keeper_go(struct children *c)
{
    c->herald_gone = true;
}

void
children_hurry(struct children *c)
{
    uint64_t latest = loop_now(c->loop) + TERM_FOR_MS;

    if (c->kill_at > latest)
        c->kill_at = latest;
}

bool
children_gone(const struct children *c)
{
    return c->recovery.pid == 0 && slot_is_empty(c);
}

int
children_error(const struct children *c, struct err *err)
{
    const char *why = c->shared->message;

    if (c->refused)
        return err_set(err, ERR_SYSTEM, "%s", why);
    if (c->failures < FAILURES_MAX)
        return err_set(err, ERR_SYSTEM,
                       "the processes die at their start: see the log; the database is in %s/db",
                       c->server->dir.name);
    if (c->is_fault)
        return err_set(err, ERR_SYSTEM, "the registry can't start now, but may later: %s", why);
    return err_set(err, ERR_SYSTEM,
                   "the database in %s/db can't be opened (%.120s): put it back with "
                   "docker-registry-server restore --snapshot",
                   c->server->dir.name, *why != '\0' ? why : "the recovery died");
}
