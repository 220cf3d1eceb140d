#include "util/confined.h"

#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/banned.h"

/* A sanitizer reserves terabytes of addresses. */
#ifdef __SANITIZE_ADDRESS__
#define LIMIT_MEMORY false
#else
#define LIMIT_MEMORY true
#endif

#define MAPPINGS_MAX 256

static void
limit(__rlimit_resource_t what, uint64_t value)
{
    struct rlimit r = {.rlim_cur = value, .rlim_max = value};

    if (setrlimit(what, &r) != 0)
        _exit(126);
}

struct mapping {
    uintptr_t from;
    uintptr_t to;
};

/* The mappings that other processes have too, and that can be written: the database's, mostly. -1:
 * can't tell. */
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
            continue; /* longer than any name of ours */
        if (flags[1] == 'w' && flags[3] == 's')
            n = n < MAPPINGS_MAX ? (out[n] = m, n + 1) : -1;
    }
    fclose(maps);
    return n;
}

/* Whatever happens in here, it happens to nobody else's memory. */
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

static void
keep_only(int fd)
{
    unsigned first = STDERR_FILENO + 1;

    if (fd > (int)first)
        close_range(first, (unsigned)fd - 1, 0);
    close_range((unsigned)fd + 1, ~0u, 0);
}

static void
confine(pid_t parent, int fd, const struct confined_limits *limits, const void *answer)
{
    static const int usual[] = {SIGTERM, SIGALRM, SIGXCPU, SIGINT, SIGPIPE,
                                SIGSEGV, SIGBUS,  SIGFPE,  SIGILL, SIGABRT};
    struct sigaction normal = {.sa_handler = SIG_DFL};

    if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0 || getppid() != parent)
        _exit(126);
    for (size_t i = 0; i < sizeof usual / sizeof usual[0]; i++)
        sigaction(usual[i], &normal, NULL);
    keep_only(fd);
    unshare_memory(answer);
    if (LIMIT_MEMORY)
        limit(RLIMIT_AS, limits->memory);
    limit(RLIMIT_CPU, limits->seconds);
    limit(RLIMIT_FSIZE, 0);
    limit(RLIMIT_CORE, 0);
    alarm(4 * limits->seconds);
    if (nice(10) < 0)
        errno = 0; /* then it is as quick as we are */
}

static int
wait_for(pid_t child, char *why, size_t why_n, struct err *err)
{
    int status;

    while (waitpid(child, &status, 0) < 0)
        if (errno != EINTR)
            return err_errno(err, "wait for a confined child");
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return 1;
    if (WIFSIGNALED(status) &&
        (WTERMSIG(status) == SIGXCPU || WTERMSIG(status) == SIGKILL || WTERMSIG(status) == SIGALRM))
        snprintf(why, why_n, "it took too long");
    else if (WIFSIGNALED(status))
        snprintf(why, why_n, "it ended with signal %d", WTERMSIG(status));
    else
        snprintf(why, why_n, "it ended with exit code %d", WEXITSTATUS(status));
    return 0;
}

int
confined_run(void (*fn)(void *arg, void *answer), void *arg, int fd,
             const struct confined_limits *limits, void *answer, size_t n, char *why, size_t why_n,
             struct err *err)
{
    void *shared = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t parent = getpid(), child;
    int rc;

    if (shared == MAP_FAILED)
        return err_errno(err, "share memory with a child");
    child = fork();
    if (child == 0) {
        confine(parent, fd, limits, shared);
        fn(arg, shared);
        _exit(0);
    }
    rc = child < 0 ? err_errno(err, "start a confined child") : wait_for(child, why, why_n, err);
    if (rc == 1)
        memcpy(answer, shared, n);
    munmap(shared, n);
    return rc;
}
