#include "util/spawn.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"

/* Runs in the child, where nothing may be allocated. If it fails, it sends errno to the parent
 * through the pipe `failed`, which a successful exec closes. */
static _Noreturn void
become_program(const struct spawn *s, pid_t parent, int out, int failed)
{
    /* sigaction() would refuse the C library's own two signals, which are ignored in a process that
     * was started by posix_spawn. Zeroes are SIG_DFL in the kernel's struct. */
    static const uint64_t normal[8];
    ssize_t ignored;
    sigset_t none;
    int in, sys;

    for (int i = 1; i < NSIG; i++)
        syscall(SYS_rt_sigaction, i, normal, NULL, (size_t)NSIG / 8);
    sigemptyset(&none);
    if (setsid() < 0 || (s->dirfd != AT_FDCWD && fchdir(s->dirfd) < 0) ||
        (s->dies_with_us && prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0))
        goto failed;
    if (s->dies_with_us && getppid() != parent)
        _exit(1); /* the parent ended before prctl */

    /* Moved away from 0, 1 and 2, since one of those may be closed in the parent. */
    in = s->in >= 0 ? s->in : open("/dev/null", O_RDONLY | O_CLOEXEC);
    in = fcntl(in, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    out = fcntl(out, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    failed = fcntl(failed, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
    if (in < 0 || out < 0 || failed < 0 || dup2(in, STDIN_FILENO) < 0 ||
        dup2(out, STDOUT_FILENO) < 0 || dup2(out, STDERR_FILENO) < 0 ||
        close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0 ||
        sigprocmask(SIG_SETMASK, &none, NULL) < 0)
        goto failed;
    execve(s->path, (char *const *)s->argv, (char *const *)s->envp);
failed:
    sys = errno;
    ignored = write(failed, &sys, sizeof sys);
    (void)ignored;
    _exit(127);
}

/* Forks with all signals blocked: no handler of ours may run between the fork and the exec. */
static pid_t
fork_and_exec(const struct spawn *s, int out, int failed)
{
    pid_t parent = getpid();
    sigset_t all, before;
    pid_t pid;
    int sys;

    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    pid = fork();
    if (pid == 0)
        become_program(s, parent, out, failed);
    sys = errno;
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = sys;
    return pid;
}

/* errno of an exec that failed, else 0. */
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
spawn_wait(pid_t pid)
{
    int status = -1;

    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status;
}

int
spawn_start(const struct spawn *s, pid_t *pid, int *out, struct err *err)
{
    int outs[2] = {-1, -1}, failed[2] = {-1, -1};
    int sys = 0;

    *pid = -1;
    *out = -1;
    if (pipe2(outs, O_CLOEXEC) == 0 && pipe2(failed, O_CLOEXEC) == 0)
        *pid = fork_and_exec(s, outs[1], failed[1]);
    if (*pid < 0)
        sys = errno;
    fdio_close(outs[1]);
    fdio_close(failed[1]);
    if (*pid > 0) {
        sys = wait_for_exec(failed[0]);
        if (sys != 0)
            spawn_wait(*pid);
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

static _Noreturn void
wait_for_parent_end(pid_t group, int end)
{
    char c;

    dup2(end, STDIN_FILENO);
    close_range(STDIN_FILENO + 1, ~0u, 0);
    while (read(STDIN_FILENO, &c, 1) < 0 && errno == EINTR)
        ;
    kill(-group, SIGKILL);
    _exit(0);
}

int
spawn_leash(pid_t pid, pid_t *leash, struct err *err)
{
    sigset_t all, before;
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe");
    sigfillset(&all);
    sigprocmask(SIG_SETMASK, &all, &before);
    *leash = fork();
    if (*leash == 0)
        wait_for_parent_end(pid, ends[0]); /* with all signals blocked */
    if (*leash < 0)
        err_errno(err, "cannot start a process");
    sigprocmask(SIG_SETMASK, &before, NULL);
    close(ends[0]);
    if (*leash > 0)
        return ends[1];
    close(ends[1]);
    return -1;
}

void
spawn_kill(pid_t pid)
{
    if (pid > 0)
        kill(-pid, SIGKILL);
}
