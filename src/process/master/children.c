#include "process/master/children.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/server/child.h"
#include "process/keeper/keeper.h"
#include "process/master/recovery.h"
#include "process/worker/worker.h"
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/banned.h"

#define IDLE_DEATHS_MAX 20
#define FAILURES_MAX 5
#define FAILURE_PAUSE_MS 100 /* doubled each time */
/* A start that never gets all of them to work is given up after so many recoveries. */
#define ROUNDS_MAX 10
#define CRASH_BURST 60
#define CRASH_REFILL_MS 1000
#define FORK_PAUSE_MS 1000
/* On a full disk nothing is given up, only tried again. */
#define STARVED_PAUSE_MS 5000
#define STARVED_ROOM (1u << 20) /* with less, nobody needs to try to join the database */
#define STARVED_SAY_MS 60000
/* What is short is worth waiting for in a socket. After this, who asks is told that it takes
 * longer. */
#define UNSERVED_MS 5000
#define TERM_EACH_MS 100
#define TERM_FOR_MS 1500
/* When no nginx of ours has waited for their requests before. */
#define TERM_FASTCGI_MS 7000

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
name_child(const struct child *child, char out[32])
{
    if (child->pool == CHILDREN_COMMAND)
        snprintf(out, 32, "command");
    else if (child->pool == POOL_COUNT)
        snprintf(out, 32, "keeper");
    else
        snprintf(out, 32, "worker %s %u", pools[child->pool].name, child->number);
}

int
children_init(struct children *c, const struct server *s, struct err *err)
{
    *c = (struct children){.server = s, .n = 1 + CONTROL_DOOR_MAX};
    for (int pool = 0; pool < POOL_COUNT; pool++)
        c->n += pool_workers((enum pool_id)pool, s->options);
    start_throttle_init(&c->throttle, CRASH_BURST, CRASH_REFILL_MS, clock_mono_ms());
    c->v = mem_array(c->n, sizeof *c->v);
    void *page =
        mmap(NULL, shared_size(c), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (page == MAP_FAILED)
        page = NULL;
    c->shared = page;
    if (c->v == NULL || page == NULL)
        return err_errno(err, "no memory for %zu children", c->n);

    size_t i = 0;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        for (unsigned k = 1; k <= pool_workers((enum pool_id)pool, s->options); k++)
            c->v[i++] = (struct child){.pool = pool, .number = k};
    c->v[i++] = (struct child){.pool = POOL_COUNT};
    while (i < c->n)
        c->v[i++] = (struct child){.pool = CHILDREN_COMMAND};
    for (i = 0; i < c->n; i++)
        c->v[i].slot = &c->shared->slots[i];
    return 0;
}

void
children_free(struct children *c)
{
    if (c->shared != NULL)
        munmap(c->shared, shared_size(c));
    free(c->v);
}

/* ---- starting ---- */

/* Those that wait for pre-hooks cost nothing where there are none; those for commands come when
 * they are asked for. */
static bool
is_wanted(const struct children *c, int pool)
{
    return pool != CHILDREN_COMMAND && (pool != POOL_GATE || c->server->gate);
}

static int
run_child(const struct children *c, const struct child *child, pid_t master)
{
    if (child->pool == CHILDREN_COMMAND)
        return control_door_main(c->server, master, child->slot, child->request);
    if (child->pool == POOL_COUNT)
        return keeper_main(c->server, master, child->slot);
    return worker_main(c->server, master, (enum pool_id)child->pool, child->number, child->slot);
}

/* The slot is inside the database from before the fork: what happens on the way in counts too. */
static void
start_child(struct children *c, struct child *child, uint64_t now)
{
    pid_t master = getpid();
    atomic_store(&child->slot->since_ms, now);
    atomic_store(&child->slot->ready, false);
    atomic_store(&child->slot->in_db, true);
    pid_t pid = fork();
    if (pid == 0)
        exit(run_child(c, child, master));
    if (pid < 0) {
        log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
        atomic_store(&child->slot->in_db, false);
        child->start_at = now + FORK_PAUSE_MS;
        return;
    }
    child->pid = pid;
    atomic_store(&child->slot->pid, pid);
}

static void
start_recovery(struct children *c, uint64_t now)
{
    pid_t master = getpid();
    c->state = CHILDREN_RECOVERING;
    c->shared->message[0] = '\0';
    pid_t pid = fork();
    if (pid == 0)
        exit(recovery_main(c->server, master, c->shared->message));
    if (pid < 0) {
        log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
        c->state = CHILDREN_KILLING; /* there is nobody to kill: tries again then */
        c->recover_at = now + FORK_PAUSE_MS;
        return;
    }
    c->recovery = pid;
}

void
children_start(struct children *c, uint64_t now)
{
    for (int pool = 0; pool < POOL_COUNT; pool++)
        c->served_at[pool] = now;
    start_recovery(c, now);
}

bool
children_lend(struct children *c, const struct control_door_request *r, uint64_t now)
{
    if (c->state != CHILDREN_SERVING)
        return false;
    for (size_t i = 0; i < c->n; i++) {
        struct child *child = &c->v[i];
        if (child->pool != CHILDREN_COMMAND || child->pid != 0)
            continue;
        child->request = r;
        start_child(c, child, now);
        child->request = NULL;
        return child->pid != 0;
    }
    return false;
}

/* ---- the full disk ---- */

/* Did it die of that? Regions that can't be built are a SIGBUS. */
static bool
is_starved(const struct children *c, int status)
{
    struct err ignored;
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == CHILD_NO_SPACE;
    return WTERMSIG(status) == SIGBUS && disk_space_check(c->server->dir.fd, 0, &ignored) != 0;
}

static void
starve(struct children *c, const char *why, uint64_t now)
{
    if (!c->starved || now >= c->say_at) {
        log_line(LOG_ERROR, "the disk is full: waiting for room", "why=%s free=%llu",
                 *why != '\0' ? why : "processes can't start",
                 (unsigned long long)disk_space_free(c->server->dir.fd));
        c->say_at = now + STARVED_SAY_MS;
    }
    c->starved = true;
    disk_space_give(c->server->dir.fd);
}

/* Is it worth starting somebody? */
static bool
may_start(struct children *c, uint64_t now)
{
    if (!c->starved || disk_space_free(c->server->dir.fd) >= STARVED_ROOM)
        return true;
    starve(c, "", now);
    return false;
}

/* ---- dying ---- */

static bool
all_gone(const struct children *c)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].pid != 0)
            return false;
    return true;
}

static void
signal_all(const struct children *c, int number)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].pid != 0)
            kill(c->v[i].pid, number);
}

static void
kill_all(struct children *c, const char *why, uint64_t now)
{
    uint64_t wait = start_throttle_take(&c->throttle, now);
    log_line(LOG_WARN, "recovering the database", "why=%s wait_ms=%llu", why,
             (unsigned long long)wait);
    c->state = CHILDREN_KILLING;
    c->recover_at = now + wait;
    signal_all(c, SIGKILL);
}

static void
recovered(struct children *c, uint64_t now)
{
    c->failures = 0;
    c->hungry = 0;
    c->idle_deaths = 0;
    c->rounds++;
    if (!c->were_ready && c->rounds > ROUNDS_MAX) {
        c->state = CHILDREN_BROKEN;
        return;
    }
    c->state = CHILDREN_SERVING;
    for (size_t i = 0; i < c->n; i++)
        if (is_wanted(c, c->v[i].pool))
            start_child(c, &c->v[i], now);
}

static void
recovery_died(struct children *c, int status, uint64_t now)
{
    c->recovery = 0;
    if (c->state == CHILDREN_STOPPING)
        return;
    if (WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE) {
        recovered(c, now);
        return;
    }
    if (is_starved(c, status)) {
        uint64_t pause = (uint64_t)FAILURE_PAUSE_MS << c->hungry;
        starve(c, c->shared->message, now);
        c->hungry += pause < STARVED_PAUSE_MS;
        c->state = CHILDREN_KILLING;
        c->recover_at = now + pause;
        return;
    }
    log_line(LOG_ERROR, "recovery of the database died", "status=%d tries=%u", status,
             c->failures + 1);
    if (++c->failures >= FAILURES_MAX) {
        c->state = CHILDREN_BROKEN;
        return;
    }
    c->state = CHILDREN_KILLING;
    c->recover_at = now + (FAILURE_PAUSE_MS << c->failures);
}

static void
log_death(const struct child *child, pid_t pid, int status, bool in_db)
{
    char name[32];
    name_child(child, name);
    if (status == 0 && !in_db)
        log_line(LOG_INFO, "process ended", "name=%s pid=%d", name, (int)pid);
    else
        log_line(LOG_WARN, "process died", "name=%s pid=%d signal=%d exit=%d in_db=%d", name,
                 (int)pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
                 WIFEXITED(status) ? WEXITSTATUS(status) : -1, (int)in_db);
}

static void
child_died(struct children *c, struct child *child, int status, uint64_t now)
{
    pid_t pid = child->pid;
    bool in_db = atomic_load(&child->slot->in_db);
    bool clean = WIFEXITED(status) && WEXITSTATUS(status) == CHILD_DONE;
    bool lost = WIFEXITED(status) && WEXITSTATUS(status) == CHILD_LOST;
    child->pid = 0;
    atomic_store(&child->slot->ready, false);
    atomic_store(&child->slot->pid, 0);
    if (c->state != CHILDREN_SERVING)
        return;

    if (!in_db && is_starved(c, status)) {
        starve(c, "", now);
        child->start_at = now + FORK_PAUSE_MS;
        return;
    }
    if (child->pool != CHILDREN_COMMAND || status != 0 || in_db)
        log_death(child, pid, status, in_db);
    if (in_db || lost) {
        kill_all(c, lost ? "a process found it broken" : "a process died inside", now);
        return;
    }
    if (clean) { /* it was told to, or retired */
        child->start_at = now;
        return;
    }
    c->idle_deaths++;
    if (c->idle_deaths >= IDLE_DEATHS_MAX) {
        kill_all(c, "many processes died outside", now);
        return;
    }
    uint64_t wait = start_throttle_take(&c->throttle, now);
    if (wait > 0)
        log_line(LOG_WARN, "processes die too often: the next one starts later", "wait_ms=%llu",
                 (unsigned long long)wait);
    child->start_at = now + wait;
}

bool
children_died(struct children *c, pid_t pid, int status, uint64_t now)
{
    if (pid == c->recovery) {
        recovery_died(c, status, now);
        return true;
    }
    for (size_t i = 0; i < c->n; i++) {
        if (c->v[i].pid == pid) {
            child_died(c, &c->v[i], status, now);
            return true;
        }
    }
    return false;
}

/* ---- what is due ---- */

static void
watch(struct children *c, uint64_t now)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct kv_slot *slot = c->v[i].slot;
        if (c->v[i].pid == 0 || !atomic_load(&slot->in_db))
            continue;
        uint64_t since = atomic_load(&slot->since_ms);
        if (since <= now && now - since > c->server->options->watchdog_ms) {
            char name[32];
            name_child(&c->v[i], name);
            log_line(LOG_ERROR, "process hangs inside the database", "name=%s pid=%d ms=%llu", name,
                     (int)c->v[i].pid, (unsigned long long)(now - since));
            kill_all(c, "a process hangs inside", now);
            return;
        }
    }
}

static void
tick_serving(struct children *c, uint64_t now)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].pid == 0 && is_wanted(c, c->v[i].pool) && now >= c->v[i].start_at &&
            may_start(c, now))
            start_child(c, &c->v[i], now);
    watch(c, now);
    if (c->state == CHILDREN_SERVING && c->rounds > 0 && children_ready(c)) {
        c->rounds = 0;
        c->were_ready = true;
    }
    if (c->starved && children_ready(c)) {
        log_line(LOG_INFO, "room on the disk: all are at work again", NULL);
        c->starved = false;
    }
}

static void
stop_children_step(struct children *c, uint64_t now)
{
    if (now >= c->kill_at) {
        signal_all(c, SIGKILL);
        if (c->recovery != 0)
            kill(c->recovery, SIGKILL); /* the next recovery doesn't mind */
    } else if (now >= c->term_at) {
        /* Again and again: one that came just before a worker began to wait was lost. */
        signal_all(c, SIGTERM);
        c->term_at = now + TERM_EACH_MS;
    }
}

static bool
has_worker(const struct children *c, int pool)
{
    for (size_t i = 0; i < c->n; i++)
        if (c->v[i].pool == pool && c->v[i].pid != 0)
            return true;
    return false;
}

/* Hangs up on whoever waits in a socket that nobody serves: nginx then says 503. */
static void
turn_away(struct children *c, uint64_t now)
{
    for (int pool = 0; pool < POOL_COUNT; pool++) {
        struct pollfd waiting = {.fd = c->server->sockets[pool], .events = POLLIN};
        if (has_worker(c, pool) || !is_wanted(c, pool))
            c->served_at[pool] = now;
        while (now - c->served_at[pool] > UNSERVED_MS && poll(&waiting, 1, 0) == 1) {
            int fd = accept4(waiting.fd, NULL, NULL, SOCK_CLOEXEC);
            if (fd < 0)
                break;
            fdio_close(fd);
        }
    }
}

void
children_tick(struct children *c, uint64_t now)
{
    if (c->state != CHILDREN_STOPPING)
        turn_away(c, now);
    switch (c->state) {
    case CHILDREN_SERVING:
        tick_serving(c, now);
        break;
    case CHILDREN_KILLING:
        if (all_gone(c) && now >= c->recover_at)
            start_recovery(c, now);
        break;
    case CHILDREN_STOPPING:
        stop_children_step(c, now);
        break;
    case CHILDREN_RECOVERING:
    case CHILDREN_BROKEN:
        break;
    }
}

bool
children_ready(struct children *c)
{
    if (c->state != CHILDREN_SERVING)
        return false;
    for (size_t i = 0; i < c->n; i++)
        if (is_wanted(c, c->v[i].pool) && (c->v[i].pid == 0 || !atomic_load(&c->v[i].slot->ready)))
            return false;
    return true;
}

bool
children_may_be_asked(const struct children *c)
{
    return c->state == CHILDREN_SERVING || c->starved;
}

void
children_stop(struct children *c, uint64_t now)
{
    c->state = CHILDREN_STOPPING;
    c->term_at = now;
    c->kill_at = now + (c->server->options->fastcgi != NULL ? TERM_FASTCGI_MS : TERM_FOR_MS);
    stop_children_step(c, now);
}

void
children_hurry(struct children *c, uint64_t now)
{
    if (c->kill_at > now + TERM_FOR_MS)
        c->kill_at = now + TERM_FOR_MS;
}

bool
children_gone(const struct children *c)
{
    return c->recovery == 0 && all_gone(c);
}

int
children_error(const struct children *c, struct err *err)
{
    const char *why = c->shared->message;
    if (c->failures < FAILURES_MAX)
        return err_set(err, ERR_SYSTEM,
                       "the processes die before they can work, and the log says why; the database "
                       "is in %s/db",
                       c->server->dir.name);
    return err_set(err, ERR_SYSTEM,
                   "the database in %s/db can't be opened (%s): mend that, or restore a backup",
                   c->server->dir.name, *why != '\0' ? why : "the recovery died");
}
