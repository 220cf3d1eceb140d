#include "process/server/stray_nginx.h"
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include "process/server/procfs.h"
#include "util/clock.h"
#include "util/log.h"

#define WAIT_MS 2000

struct search {
    int dirfd;
    bool tell;
    size_t found;
};

/* False for a zombie. All processes of the machine are asked for their names. */
static bool
is_nginx(int pid)
{
    char state = procfs_is_called(pid, "nginx") ? procfs_state(pid) : '\0';

    return state != '\0' && strchr("ZX", state) == NULL;
}

static bool
is_stray(int pid, int dirfd)
{
    char arguments[512];
    if (!is_nginx(pid) || !procfs_works_in(pid, dirfd))
        return false;
    procfs_read(pid, "cmdline", arguments, sizeof arguments);
    if (strstr(arguments, "-c run/nginx.conf") != NULL)
        return true;
    /* A master is left alone: an administrator may have started another nginx from here. */
    return strncmp(arguments, "nginx: worker", 13) == 0 && !is_nginx(procfs_parent(pid));
}

static void
kill_stray(int pid, void *arg)
{
    struct search *s = arg;
    if (!is_stray(pid, s->dirfd))
        return;
    s->found++;
    if (kill(pid, SIGKILL) < 0 && errno != ESRCH)
        log_line(LOG_ERROR, "a stray nginx can't be killed", "pid=%d errno=%d", pid, errno);
    else if (s->tell)
        log_line(LOG_WARN, "stray nginx killed", "pid=%d", pid);
}

void
stray_nginx_kill(int dirfd)
{
    struct search s = {.dirfd = dirfd, .tell = true};
    uint64_t until = clock_mono_ms() + WAIT_MS;
    for (procfs_each(kill_stray, &s); s.found > 0 && clock_mono_ms() < until;
         procfs_each(kill_stray, &s)) {
        s.tell = false;
        s.found = 0;
        clock_sleep_ms(2);
    }
}
