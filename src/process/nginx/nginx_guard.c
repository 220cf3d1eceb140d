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
    process_title_set("guard of nginx");
    dup2(end, STDIN_FILENO);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    char c;
    while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
        ;
    clock_sleep_ms(GRACE_MS);
    kill(0, SIGKILL); /* and ourselves */
    _exit(0);
}

void
nginx_guard_init(struct nginx_guard *g, struct loop *loop)
{
    *g = (struct nginx_guard){.loop = loop, .end = -1};
}

static void
on_guard_end(void *arg, pid_t pid, int status)
{
    struct nginx_guard *g = arg;

    (void)pid;
    (void)status;
    g->pid = 0;
    fdio_close(g->end);
    g->end = -1;
}

void
nginx_guard_hold(struct nginx_guard *g, const struct privileges *who)
{
    int ends[2];
    pid_t pid;

    if (g->pid != 0 || pipe2(ends, O_CLOEXEC) < 0)
        return;
    pid = fork();
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
        return;
    }
    /* The old group, as long as it has a member; else a new one. */
    if (g->group == 0 || setpgid(pid, g->group) < 0) {
        setpgid(pid, pid);
        g->group = pid;
    }
    g->pid = pid;
    g->end = ends[1];
    loop_child(g->loop, &g->child, pid, on_guard_end, g);
}

void
nginx_guard_let_go(struct nginx_guard *g)
{
    if (g->pid != 0 && kill(-g->group, SIGKILL) == 0)
        waitpid(g->pid, NULL, 0);
    g->pid = 0;
    fdio_close(g->end);
    g->end = -1;
}
