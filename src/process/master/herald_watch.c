#include "process/master/herald_watch.h"
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/herald/herald.h"
#include "util/log.h"
#include "util/banned.h"

#define CRASH_BURST 10
#define CRASH_REFILL_MS 1000
#define FORK_PAUSE_MS 1000
#define TERM_EACH_MS 100
/* It has limits of its own, which are shorter. */
#define KILL_AFTER_MS (HERALD_GRACE_MS + 3000)

void
herald_watch_init(struct herald_watch *h, const struct server *s, uint64_t now)
{
    *h = (struct herald_watch){.server = s, .start_at = now};
    start_throttle_init(&h->throttle, CRASH_BURST, CRASH_REFILL_MS, now);
}

static void
start_herald(struct herald_watch *h, uint64_t now)
{
    pid_t master = getpid();
    pid_t pid = fork();
    if (pid == 0)
        exit(herald_main(h->server, master));
    if (pid < 0) {
        log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
        h->start_at = now + FORK_PAUSE_MS;
        return;
    }
    h->pid = pid;
}

void
herald_watch_tick(struct herald_watch *h, uint64_t now)
{
    if (!h->stopping && h->pid == 0 && now >= h->start_at)
        start_herald(h, now);
    if (!h->stopping || h->pid == 0)
        return;
    if (now >= h->kill_at) {
        kill(h->pid, SIGKILL);
    } else if (now >= h->term_at) {
        kill(h->pid, SIGTERM); /* again and again: it may not have been ready for the first */
        h->term_at = now + TERM_EACH_MS;
    }
}

bool
herald_watch_died(struct herald_watch *h, pid_t pid, int status, uint64_t now)
{
    if (pid == 0 || pid != h->pid)
        return false;
    h->pid = 0;
    if (h->stopping)
        return true;
    uint64_t wait = start_throttle_take(&h->throttle, now);
    log_line(LOG_WARN, "process died", "name=herald pid=%d signal=%d exit=%d wait_ms=%llu",
             (int)pid, WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1, (unsigned long long)wait);
    h->start_at = now + wait;
    return true;
}

void
herald_watch_reload(const struct herald_watch *h)
{
    if (h->pid != 0)
        kill(h->pid, SIGHUP);
}

void
herald_watch_stop(struct herald_watch *h, bool hurry, uint64_t now)
{
    if (!h->stopping) {
        h->stopping = true;
        h->term_at = now;
        h->kill_at = now + KILL_AFTER_MS;
        herald_watch_tick(h, now);
    }
    if (hurry && h->pid != 0)
        kill(h->pid, SIGUSR1);
}

bool
herald_watch_is_gone(const struct herald_watch *h)
{
    return h->pid == 0;
}
