#include "process/server/stopped_process.h"
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include "process/server/procfs.h"
#include "util/log.h"

struct look {
    const struct stopped_process *before;
    struct stopped_process now;
    char name[32]; /* our own */
};

static bool
was_seen(const struct stopped_process *s, int pid)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->seen[i] == pid)
            return true;
    return false;
}

static void
note_if_stopped(int pid, void *arg)
{
    struct look *l = arg;
    if (procfs_state(pid) != 'T' ||
        !(procfs_is_called(pid, l->name) || procfs_is_called(pid, "nginx")))
        return;
    if (was_seen(l->before, pid)) {
        log_line(LOG_WARN, "waking a process that was stopped", "pid=%d", pid);
        kill(pid, SIGCONT);
    } else if (l->now.n < STOPPED_PROCESS_MAX) {
        l->now.seen[l->now.n++] = pid;
    }
}

void
stopped_process_wake(struct stopped_process *s, int pid, int generations, uint64_t limit_ms,
                     uint64_t now)
{
    struct look l;

    if (now < s->look_at)
        return;
    l = (struct look){.before = s};
    prctl(PR_GET_NAME, l.name, 0, 0, 0);
    note_if_stopped(pid, &l);
    if (generations > 0)
        procfs_each_below(pid, generations, note_if_stopped, &l);
    *s = l.now;
    s->look_at = now + limit_ms / 3;
}
