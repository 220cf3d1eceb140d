#include "util/confined.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/mem.h"

/* A sanitizer reserves terabytes of addresses. */
#ifdef __SANITIZE_ADDRESS__
#define LIMIT_MEMORY false
#else
#define LIMIT_MEMORY true
#endif

#define MAPPINGS_MAX 256
#define FILES_MAX 64

/* The exit code of a child that couldn't be confined. */
#define EXIT_UNCONFINED 126

/* ioprio_set(2), for which the C library has neither function nor names. */
#define IOPRIO_WHO_PROCESS 1
#define IOPRIO_IDLE (3 << 13)

/* ---- in the child ---- */

static void
set_confined_limit(__rlimit_resource_t what, uint64_t soft, uint64_t hard)
{
    struct rlimit r = {.rlim_cur = soft, .rlim_max = hard};

    if (setrlimit(what, &r) != 0)
        _exit(EXIT_UNCONFINED);
}

struct mapping {
    uintptr_t from;
    uintptr_t to;
};

/* Finds the writable mappings that other processes share: mostly those of the database. Their
 * number, or -1 when it can't be told. */
static int
find_shared_mappings(struct mapping out[MAPPINGS_MAX])
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
            continue; /* longer than any name of ours */
        if (flags[1] != 'w' || flags[3] != 's')
            continue;
        if (n < MAPPINGS_MAX)
            out[n++] = m;
        else
            n = -1;
    }
    fclose(maps);
    return n;
}

/* Unmaps all memory that other processes share, except the answer. */
static void
unshare_memory(const void *answer)
{
    struct mapping found[MAPPINGS_MAX];
    int n = find_shared_mappings(found);

    if (n < 0)
        _exit(EXIT_UNCONFINED);
    for (int i = 0; i < n; i++)
        if (found[i].from != (uintptr_t)answer)
            munmap((void *)found[i].from, found[i].to - found[i].from);
}

/* Failures don't matter: the work is only done with a higher priority then. */
static void
lower_priority(bool background)
{
    int fd;

    if (!background) {
        if (nice(10) < 0)
            errno = 0;
        return;
    }
    fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
    if (fd >= 0 && write(fd, "800", 3) < 0)
        errno = 0;
    fdio_close(fd);
    setpriority(PRIO_PROCESS, 0, 19);
    syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_IDLE);
}

static void
confine_process(pid_t parent, const int *fds, size_t fds_n, const struct confined_limits *limits,
                const void *answer)
{
    static const int usual[] = {SIGTERM, SIGALRM, SIGXCPU, SIGXFSZ, SIGINT, SIGPIPE,
                                SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT};
    struct sigaction normal = {.sa_handler = SIG_DFL};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(EXIT_UNCONFINED);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        sigaction(usual[i], &normal, NULL);
    mem_exit_silently();
    lower_priority(limits->background);
    fdio_close_others(fds, fds_n);
    unshare_memory(answer);
    if (LIMIT_MEMORY)
        set_confined_limit(RLIMIT_AS, limits->memory, limits->memory);
    set_confined_limit(RLIMIT_CPU, limits->seconds, limits->seconds + 1);
    set_confined_limit(RLIMIT_FSIZE, limits->file, limits->file);
    set_confined_limit(RLIMIT_NOFILE, FILES_MAX, FILES_MAX);
    set_confined_limit(RLIMIT_CORE, 0, 0);
    if (!limits->background)
        alarm(4 * limits->seconds);
}

/* ---- in the parent ---- */

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
        confine_process(parent, fds, fds_n, limits, c->answer);
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
end_of_status(int status)
{
    if (WIFEXITED(status))
        return WEXITSTATUS(status) == 0          ? CONFINED_DONE
               : WEXITSTATUS(status) == MEM_EXIT ? CONFINED_GREEDY
                                                 : CONFINED_DIED;
    switch (WTERMSIG(status)) {
    case SIGXCPU:
    case SIGALRM:
        return CONFINED_SLOW;
    case SIGXFSZ:
        return CONFINED_LARGE;
    case SIGKILL:
        return CONFINED_KILLED;
    default:
        return CONFINED_DIED;
    }
}

static enum confined_end
describe_status(int status, char why[CONFINED_WHY_MAX])
{
    static const char *const words[] = {
        [CONFINED_DONE] = "",
        [CONFINED_SLOW] = "it took too long",
        [CONFINED_LARGE] = "it wrote too much",
        [CONFINED_GREEDY] = "it needed too much memory",
        [CONFINED_KILLED] = "it was killed",
    };
    enum confined_end end = end_of_status(status);

    if (end != CONFINED_DIED)
        snprintf(why, CONFINED_WHY_MAX, "%s", words[end]);
    else if (WIFEXITED(status))
        snprintf(why, CONFINED_WHY_MAX, "it ended with exit code %d", WEXITSTATUS(status));
    else
        snprintf(why, CONFINED_WHY_MAX, "it ended with signal %d", WTERMSIG(status));
    return end;
}

/* Takes the child's status, at once or when it ends: 1; 0: it still runs. */
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
        *status = 127 << 8; /* it is unknown: count it as a failure, exit code 127 */
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
    bool done;

    if (confined_start(&c, fn, arg, &fd, 1, limits, n, err) != 0)
        return -1;
    reap_confined(&c, true, &status);
    done = describe_status(status, how) == CONFINED_DONE;
    if (done && c.answer != NULL) /* which gcc cannot know */
        memcpy(answer, c.answer, n);
    else
        snprintf(why, why_n, "%s", how);
    confined_stop(&c);
    return done;
}
