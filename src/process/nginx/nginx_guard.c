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
#include "util/parse.h"

/* The kernel tells nginx's master of our end, and it cleans up. */
#define GRACE_MS 300
/* The name of what is handed over. */
#define HANDED_GUARD "nginx-guard"

void
nginx_guard_init(struct nginx_guard *g, struct loop *loop, const struct privileges *who)
{
    *g = (struct nginx_guard){.loop = loop, .who = who, .ends = {-1, -1}};
}

static int
run_guard(void *arg, pid_t master)
{
    const struct nginx_guard *g = arg;
    sigset_t all;
    char c;

    (void)master; /* the pipe tells of its end */
    close(g->ends[1]);
    if (privileges_forget(g->who) != 0)
        _exit(1);
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, NULL);
    process_title_set("guard of nginx");
    dup2(g->ends[0], STDIN_FILENO);
    close_range(STDERR_FILENO + 1, ~0u, 0);
    while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
        ;
    clock_sleep_ms(GRACE_MS);
    kill(0, SIGKILL); /* and this process */
    _exit(0);
}

static void
on_guard_end(void *arg, pid_t pid, int status)
{
    struct nginx_guard *g = arg;

    (void)pid;
    (void)status;
    fdio_close(g->ends[1]);
    g->ends[1] = -1;
}

void
nginx_guard_hold(struct nginx_guard *g)
{
    int rc;

    if (g->child.pid != 0 || pipe2(g->ends, O_CLOEXEC) < 0)
        return;
    rc = loop_fork(g->loop, &g->child, run_guard, on_guard_end, g);
    close(g->ends[0]);
    if (rc != 0) {
        log_line(LOG_ERROR, "cannot start a process", "errno=%d", errno);
        on_guard_end(g, 0, 0);
        return;
    }
    /* The old group, as long as it has a member; else a new one. */
    if (g->group == 0 || setpgid(g->child.pid, g->group) < 0) {
        setpgid(g->child.pid, g->child.pid);
        g->group = g->child.pid;
    }
}

void
nginx_guard_hand_over(const struct nginx_guard *g, struct handover *h)
{
    char pid[24];

    snprintf(pid, sizeof pid, "%ld", (long)g->child.pid);
    if (g->child.pid != 0)
        handover_put(h, HANDED_GUARD, g->ends[1], pid);
    snprintf(pid, sizeof pid, "%ld", (long)g->group);
    handover_put_text(h, HANDED_GUARD, bytes_str(pid));
}

void
nginx_guard_take(struct nginx_guard *g, const struct handover *h)
{
    struct bytes note;
    uint64_t pid;
    int fd = handover_get(h, HANDED_GUARD, 0, &note);

    if (fd >= 0 && parse_u64(note.p, note.n, &pid)) {
        g->ends[1] = fd;
        loop_adopt(g->loop, &g->child, (pid_t)pid, on_guard_end, g);
    }
    if (handover_get_text(h, HANDED_GUARD, 0, &note) && parse_u64(note.p, note.n, &pid))
        g->group = (pid_t)pid;
}

void
nginx_guard_let_go(struct nginx_guard *g)
{
    if (g->child.pid != 0 && kill(-g->group, SIGKILL) == 0)
        waitpid(g->child.pid, NULL, 0);
    on_guard_end(g, 0, 0);
}
