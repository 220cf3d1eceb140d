#include "process/master/herald_watch.h"
#include <errno.h>
#include <signal.h>
#include "process/herald/herald.h"
#include "process/server/child.h"
#include "util/log.h"

#define CRASH_BURST 10
#define CRASH_REFILL_MS 1000
#define FORK_PAUSE_MS 1000
#define TERM_EACH_MS 100 /* again and again: it may not have been ready for the first */
#define KILL_AFTER_MS (HERALD_GRACE_MS + 3000) /* later than its own limits */

void
herald_watch_init(struct herald_watch *h, const struct server *s, struct loop *loop)
{
    *h = (struct herald_watch){.server = s, .loop = loop, .start_at = loop_now(loop)};
    start_throttle_init(&h->throttle, CRASH_BURST, CRASH_REFILL_MS, h->start_at);
}

static void
on_herald_end(void *arg, pid_t pid, int status)
{
    struct herald_watch *h = arg;

    if (h->stopping)
        return;
    child_log_death("herald", pid, status);
    server_count_restart(h->server, METRICS_HERALD, status == CHILD_DONE);
    h->start_at = start_throttle_next(&h->throttle, "herald", loop_now(h->loop));
}

static int
run_herald_child(void *arg, pid_t master)
{
    const struct herald_watch *h = arg;

    return herald_main(h->server, master);
}

static void
start_herald(struct herald_watch *h)
{
    if (loop_fork(h->loop, &h->child, run_herald_child, on_herald_end, h) == 0)
        return;
    log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
    h->start_at = loop_now(h->loop) + FORK_PAUSE_MS;
}

void
herald_watch_tick(struct herald_watch *h)
{
    uint64_t now = loop_now(h->loop);

    if (!h->stopping && h->child.pid == 0 && now >= h->start_at)
        start_herald(h);
    if (!h->stopping || h->child.pid == 0)
        return;
    if (now >= h->kill_at) {
        kill(h->child.pid, SIGKILL);
    } else if (now >= h->term_at) {
        kill(h->child.pid, SIGTERM);
        h->term_at = now + TERM_EACH_MS;
    }
}

void
herald_watch_reload(const struct herald_watch *h)
{
    if (h->child.pid != 0)
        kill(h->child.pid, SIGHUP);
}

void
herald_watch_stop(struct herald_watch *h, bool hurry)
{
    if (!h->stopping) {
        h->stopping = true;
        h->term_at = loop_now(h->loop);
        h->kill_at = h->term_at + KILL_AFTER_MS;
        herald_watch_tick(h);
    }
    if (hurry && h->child.pid != 0)
        kill(h->child.pid, SIGUSR1);
}

bool
herald_watch_is_gone(const struct herald_watch *h)
{
    return h->child.pid == 0;
}
