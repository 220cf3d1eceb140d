#include "util/confined.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/fdio.h"
#include "util/mem.h"
#include "util/banned.h"

/* The address sanitizer reserves terabytes of address space. */
#ifdef __SANITIZE_ADDRESS__
#define LIMIT_MEMORY false
#else
#define LIMIT_MEMORY true
#endif

#define MAPPINGS_MAX 256
#define FILES_MAX 64

/* For ioprio_set(2); the C library has neither the function nor these names. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

static void
limit(__rlimit_resource_t what, uint64_t soft, uint64_t hard)
{
    struct rlimit r = {.rlim_cur = soft, .rlim_max = hard};

    if (setrlimit(what, &r) != 0)
        _exit(126);
}

struct mapping {
    uintptr_t from;
    uintptr_t to;
};

/* Lists the writable mappings that are shared with other processes, mostly the database's. Returns
 * their number, or -1 when they can't be listed. */
static int
shared_mappings(struct mapping out[MAPPINGS_MAX])
{
    FILE *maps = fopen("/proc/self/maps", "re");
    char line[4352], flags[5];
    struct mapping m;
    int n = 0;

    if (maps == NULL)
        return -1;
    while (n >= 0 && fgets(line, sizeof line, maps) != NULL) {
        if (strchr(line, '\n') == NULL ||
            sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %4s", &m.from, &m.to, flags) != 3)
            continue; /* no mapping of ours has such a long line */
        if (flags[1] == 'w' && flags[3] == 's')
            n = n < MAPPINGS_MAX ? (out[n] = m, n + 1) : -1;
    }
    fclose(maps);
    return n;
}

/* Removes all shared writable memory except `but`, so that the child can't damage other processes.
 * */
static void
unshare_memory(const void *but)
{
    struct mapping found[MAPPINGS_MAX];
    int n = shared_mappings(found);

    if (n < 0)
        _exit(126);
    for (int i = 0; i < n; i++)
        if (found[i].from != (uintptr_t)but)
            munmap((void *)found[i].from, found[i].to - found[i].from);
}

static int
compare_numbers(const void *a, const void *b)
{
    return *(const int *)a - *(const int *)b;
}

static void
keep_only(const int *fds, size_t n)
{
    int sorted[CONFINED_FDS_MAX], next = STDERR_FILENO + 1;

    memcpy(sorted, fds, n * sizeof *fds);
    qsort(sorted, n, sizeof *sorted, compare_numbers);
    for (size_t i = 0; i < n; i++) {
        if (sorted[i] < next)
            continue;
        if (sorted[i] > next)
            close_range((unsigned)next, (unsigned)sorted[i] - 1, 0);
        next = sorted[i] + 1;
    }
    close_range((unsigned)next, ~0u, 0);
}

/* Lowers the priority as far as the system permits. It is no error if a step fails. */
static void
step_back(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd >= 0 && write(fd, "800", 3) < 0)
        errno = 0;
    fdio_close(fd);
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void
confine(pid_t parent, const int *fds, size_t fds_n, const struct confined_limits *limits,
        const void *answer)
{
    static const int usual[] = {SIGTERM, SIGALRM, SIGXCPU, SIGXFSZ, SIGINT, SIGPIPE,
                                SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT};
    struct sigaction normal = {.sa_handler = SIG_DFL};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(126);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        sigaction(usual[i], &normal, NULL);
    if (limits->background)
        step_back();
    else if (nice(10) < 0)
        errno = 0; /* it may not be changed: the priority stays as ours */
    keep_only(fds, fds_n);
    unshare_memory(answer);
    if (LIMIT_MEMORY)
        limit(RLIMIT_AS, limits->memory, limits->memory);
    limit(RLIMIT_CPU, limits->seconds, limits->seconds + 1);
    limit(RLIMIT_FSIZE, limits->file, limits->file);
    limit(RLIMIT_NOFILE, FILES_MAX, FILES_MAX);
    limit(RLIMIT_CORE, 0, 0);
    if (!limits->background)
        alarm(4 * limits->seconds);
}

int
confined_start(struct confined *c, void (*fn)(void *arg, void *answer), void *arg, const int *fds,
               size_t fds_n, const struct confined_limits *limits, size_t n, struct err *err)
{
    pid_t parent = getpid();

    *c = (struct confined){.ended = -1, .n = n};
    c->answer = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (c->answer == MAP_FAILED) {
        c->answer = NULL;
        return err_errno(err, "cannot share memory with a child");
    }
    c->pid = fork();
    if (c->pid == 0) {
        confine(parent, fds, fds_n, limits, c->answer);
        mem_exit_silently();
        fn(arg, c->answer);
        _exit(0);
    }
    if (c->pid < 0)
        err_errno(err, "cannot start a confined child");
    else if ((c->ended = pidfd_open(c->pid, 0)) < 0)
        err_errno(err, "cannot watch a confined child");
    if (c->ended >= 0)
        return 0;
    confined_stop(c);
    return -1;
}

static enum confined_end
describe_status(int status, char why[CONFINED_WHY_MAX])
{
    why[0] = '\0';
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return CONFINED_DONE;
    if (WIFEXITED(status) && WEXITSTATUS(status) == MEM_EXIT)
        snprintf(why, CONFINED_WHY_MAX, CONFINED_NO_MEMORY);
    else if (WIFEXITED(status))
        snprintf(why, CONFINED_WHY_MAX, "it ended with exit code %d", WEXITSTATUS(status));
    else if (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGALRM)
        snprintf(why, CONFINED_WHY_MAX, CONFINED_NO_TIME);
    else if (WTERMSIG(status) == SIGXFSZ)
        snprintf(why, CONFINED_WHY_MAX, CONFINED_NO_FILE);
    else if (WTERMSIG(status) == SIGKILL)
        snprintf(why, CONFINED_WHY_MAX, "it was killed");
    else
        snprintf(why, CONFINED_WHY_MAX, "it ended with signal %d", WTERMSIG(status));
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL ? CONFINED_KILLED : CONFINED_DIED;
}

/* Reads the status of the child, and waits for its end if `wait`. Returns 1, or 0 while it runs. */
static int
reap_confined(struct confined *c, bool wait, int *status)
{
    pid_t got;

    do
        got = waitpid(c->pid, status, wait ? 0 : WNOHANG);
    while (got < 0 && errno == EINTR);
    if (got == 0)
        return 0;
    if (got < 0)
        *status = 0x7f00; /* unknown: treated as a failure */
    c->pid = 0;
    return 1;
}

int
confined_ended(struct confined *c, enum confined_end *end, char why[CONFINED_WHY_MAX])
{
    int status;

    if (reap_confined(c, false, &status) == 0)
        return 0;
    *end = describe_status(status, why);
    return 1;
}

void
confined_stop(struct confined *c)
{
    int status;

    if (c->pid > 0) {
        kill(c->pid, SIGKILL);
        reap_confined(c, true, &status);
    }
    fdio_close(c->ended);
    c->ended = -1;
    if (c->answer != NULL)
        munmap(c->answer, c->n);
    c->answer = NULL;
}

int
confined_run(void (*fn)(void *arg, void *answer), void *arg, int fd,
             const struct confined_limits *limits, void *answer, size_t n, char *why, size_t why_n,
             struct err *err)
{
    char how[CONFINED_WHY_MAX];
    struct confined c;
    int status;

    if (confined_start(&c, fn, arg, &fd, 1, limits, n, err) != 0)
        return -1;
    reap_confined(&c, true, &status);
    bool done = describe_status(status, how) == CONFINED_DONE;
    if (done && c.answer != NULL) /* which gcc cannot know */
        memcpy(answer, c.answer, n);
    else
        snprintf(why, why_n, "%s", how);
    confined_stop(&c);
    return done;
}
