#include "process/stopped.h"
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include "process/proc.h"
#include "util/log.h"
#include "util/banned.h"

struct look {
    const struct stopped *before;
    struct stopped now;
    int dirfd;
    char name[32]; /* our own */
};

static bool
was_seen(const struct stopped *s, int pid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->seen[i] == pid)
            return true;
    return false;
}

static void
look_at(int pid, void *arg)
{
    struct look *l = arg;
    if (proc_state(pid) != 'T' || !proc_works_in(pid, l->dirfd) ||
        !(proc_is_called(pid, l->name) || proc_is_called(pid, "nginx")))
        return;
    if (was_seen(l->before, pid)) {
        log_line(LOG_WARN, "waking a process that was stopped", "pid=%d", pid);
        kill(pid, SIGCONT);
    } else if (l->now.n < STOPPED_MAX) {
        l->now.seen[l->now.n++] = pid;
    }
}

void
stopped_wake(struct stopped *s, int dirfd, uint64_t limit_ms, uint64_t now)
{
    if (now < s->look_at)
        return;
    struct look l = {.before = s, .dirfd = dirfd};
    prctl(PR_GET_NAME, l.name, 0, 0, 0);
    proc_each(look_at, &l);
    *s = l.now;
    s->look_at = now + limit_ms / 2;
}
