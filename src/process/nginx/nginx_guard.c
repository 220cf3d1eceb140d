#include "process/nginx/nginx_guard.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/server/process_title.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

/* The kernel tells nginx's master of our end, and it cleans up. */
#define GRACE_MS 300

static _Noreturn void
wait_for_master_end(int end)
{
    sigset_t all;
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    process_title_set("leash of nginx");
    dup2(end, STDIN_FILENO);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    char c;
    while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
        ;
    clock_sleep_ms(GRACE_MS);
    kill(0, SIGKILL); /* and ourselves */
    _exit(0);
}

bool
nginx_guard_hold(struct nginx_guard *l, const struct privileges *who)
{
    int ends[2];
    if (l->pid != 0)
        return true;
    if (pipe2(ends, O_CLOEXEC) < 0)
        return false;
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[1]);
        if (privileges_forget(who) == 0)
            wait_for_master_end(ends[0]);
        _exit(1);
    }
    close(ends[0]);
    if (pid < 0) {
        log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
        close(ends[1]);
        return false;
    }
    /* The old group, while it has members; else a new one. */
    if (l->group == 0 || setpgid(pid, l->group) < 0) {
        setpgid(pid, pid);
        l->group = pid;
    }
    l->pid = pid;
    l->end = ends[1];
    return true;
}

bool
nginx_guard_died(struct nginx_guard *l, pid_t pid)
{
    if (pid != l->pid || pid == 0)
        return false;
    l->pid = 0;
    fdio_close(l->end);
    l->end = -1;
    return true;
}

void
nginx_guard_let_go(struct nginx_guard *l)
{
    if (l->pid != 0 && kill(-l->group, SIGKILL) == 0)
        waitpid(l->pid, NULL, 0);
    l->pid = 0;
    fdio_close(l->end);
    l->end = -1;
}
