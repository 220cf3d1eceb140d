#include "util/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/banned.h"

/* In the child, where nothing may be allocated. What fails goes to the parent, as errno, through
 * the pipe that a successful exec closes. */
static _Noreturn void
become(const struct spawn *s, pid_t parent, int out, int failed)
{
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t none;

    for (int i = 1; i < NSIG; i++)
        sigaction(i, &normal, NULL); /* refused for two of them, and for the library's own */
    sigemptyset(&none);
    if (setpgid(0, 0) < 0 || (s->dirfd != AT_FDCWD && fchdir(s->dirfd) < 0) ||
        (s->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0))
        goto err;
    if (s->dies_with_us && getppid() != parent)
        _exit(1); /* it died before we could ask to be told */

    /* First out of the way of 0, 1 and 2, should one of those be closed in the parent. */
    int in = s->in >= 0 ? s->in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    in = fcntl(in, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    out = fcntl(out, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    failed = fcntl(failed, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (in < 0 || out < 0 || failed < 0 || dup2(in, STDIN_FILENO) < 0 ||
        dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
        close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        goto err;
    execve(s->path, (char *const *)s->argv, (char *const *)s->envp);
err:;
    int sys = errno;
    ssize_t ignored = write(failed, &sys, sizeof sys);
    (void)ignored;
    _exit(127);
}

/* No handler of ours may run between the fork and the exec. */
static pid_t
fork_quietly(const struct spawn *s, int out, int failed)
{
    pid_t parent = getpid();
    sigset_t all, before;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid_t pid = fork();
    if (pid == 0)
        become(s, parent, out, failed);
    int sys = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    return pid;
}

/* errno of a program that couldn't be executed, else 0. */
static int
wait_for_exec(int failed)
{
    int sys = 0;
    ssize_t n;

    do
        n = read(failed, &sys, sizeof sys);
    while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof sys ? sys : 0;
}

int
spawn_start(const struct spawn *s, pid_t *pid, int *out, struct err *err)
{
    int outs[2] = {-1, -1}, failed[2] = {-1, -1};
    int sys = 0;

    *pid = -1;
    *out = -1;
    if (pipe2(outs, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC) == 0)
        *pid = fork_quietly(s, outs[1], failed[1]);
    if (*pid < 0)
        sys = errno;
    fdio_close(outs[1]);
    fdio_close(failed[1]);
    if (*pid > 0) {
        sys = wait_for_exec(failed[0]);
        while (sys != 0 && waitpid(*pid, NULL, 0) < 0 && errno == EINTR)
            ;
    }
    fdio_close(failed[0]);
    if (sys == 0) {
        fcntl(outs[0], F_SETFL, O_NONBLOCK);
        *out = outs[0];
        return 0;
    }
    fdio_close(outs[0]);
    *pid = -1;
    errno = sys;
    return err_errno(err, "cannot run %s", s->path);
}

void
spawn_kill(pid_t pid)
{
    if (pid > 0)
        kill(-pid, SIGKILL);
}
