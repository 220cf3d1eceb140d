/* Crashes of the store, in one process: see README in this directory. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "check.h"
#include "load.h"
#include "shim.h"
#include "state.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"

#define STATE_SECONDS 60 /* the limit of one */

struct run {
    uint64_t seed;
    unsigned steps;
    uint64_t n;     /* states, or faults */
    uint64_t first; /* the first of them */
    const char *work;
};

static _Noreturn void
usage(void)
{
    fputs("usage: store load DIRECTORY SEED STEPS\n"
          "       store power WORK SEED STEPS STATES [FIRST]\n"
          "       store faults WORK SEED STEPS FAULTS [FIRST]\n"
          "       store tidy DIRECTORY\n"
          "       store script SEED STEPS\n"
          "power and faults start the first one below WORK, with the shim (CRASH_SHIM_LIBRARY).\n",
          stderr);
    exit(2);
}

static uint64_t
number_of(const char *text)
{
    uint64_t n;

    if (text == NULL || !parse_u64(text, strlen(text), &n))
        usage();
    return n;
}

/* ---- the load ---- */

static void
say(const char *what, unsigned step)
{
    static void (*note)(const char *);
    static bool looked;
    char text[64];

    if (!looked)
        *(void **)&note = dlsym(RTLD_DEFAULT, "shim_note");
    looked = true;
    snprintf(text, sizeof text, "%s %u", what, step);
    if (note != NULL)
        note(text);
    dprintf(STDOUT_FILENO, "%s\n", text);
}

/* Prints "ready", and for each step "begin N", then "done N" or "failed N". With faults a step may
 * fail, and the next one is done nevertheless. */
static int
run_load(const char *dir, uint64_t seed, unsigned steps)
{
    struct registry reg;
    struct err err;

    if (chdir(dir) != 0 || load_open(&reg, true, seed % 2 == 0, &err) != 0) {
        fprintf(stderr, "%s: %s\n", dir, err.message);
        return 1;
    }
    say("ready", 0);
    for (unsigned i = 0; i < steps; i++) {
        struct load_step s = load_step_of(seed, i);

        say("begin", i);
        if (load_do(&reg, &s, &err) == 0) {
            say("done", i);
        } else {
            say("failed", i);
            fprintf(stderr, "step %u: %s\n", i, err.message);
        }
    }
    say("ready", 1);
    load_close(&reg);
    return 0;
}

/* ---- processes ---- */

static void
make_empty(const char *dir)
{
    struct err err;

    if (fdio_remove_tree(AT_FDCWD, dir, &err) != 0 || mkdir(dir, 0700) != 0) {
        fprintf(stderr, "%s: %s\n", dir, strerror(errno));
        exit(2);
    }
}

/* Starts the load, preloaded; its exit status. Its output goes to WORK/said. */
static int
start_load(const struct run *r, const char *variable, const char *value)
{
    char dir[PATH_MAX], said[PATH_MAX], quiet[PATH_MAX], seed[24], steps[24], self[PATH_MAX] = "";
    const char *library = getenv("CRASH_SHIM_LIBRARY");
    int status = -1;
    pid_t pid;

    snprintf(dir, sizeof dir, "%.4000s/data", r->work);
    snprintf(said, sizeof said, "%.4000s/said", r->work);
    snprintf(quiet, sizeof quiet, "%.4000s/log", r->work);
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)r->seed);
    snprintf(steps, sizeof steps, "%u", r->steps);
    make_empty(dir);
    if (library == NULL || readlink("/proc/self/exe", self, sizeof self - 1) < 0)
        usage();
    pid = fork();
    if (pid == 0) {
        int out = open(said, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);
        int err = open(quiet, O_WRONLY | O_CREAT | O_TRUNC | O_APPEND, 0600);

        dup2(out, STDOUT_FILENO);
        dup2(err, STDERR_FILENO);
        setenv("LD_PRELOAD", library, 1);
        setenv("CRASH_ROOT", dir, 1);
        setenv(variable, value, 1);
        alarm(2 * STATE_SECONDS);
        execl(self, self, "load", dir, seed, steps, (char *)NULL);
        _exit(127);
    }
    waitpid(pid, &status, 0);
    return status;
}

static void
add_said(struct check *c, enum check_end *ends, unsigned steps, uint64_t seed)
{
    check_begin(c);
    for (unsigned i = 0; i < steps; i++) {
        struct load_step s = load_step_of(seed, i);

        check_add(c, &s, ends[i]);
    }
}

static void
note_said(enum check_end *ends, unsigned steps, const char *text, size_t n)
{
    char line[64];
    unsigned i;

    snprintf(line, sizeof line, "%.*s", (int)n, text);
    if (sscanf(line, "begin %u", &i) == 1 && i < steps)
        ends[i] = CHECK_OPEN;
    else if (sscanf(line, "done %u", &i) == 1 && i < steps)
        ends[i] = CHECK_DONE;
}

/* Checks the directory in a process of its own, because a lost store ends it. True: all is well. */
static bool
check_directory(const struct check *c, const char *dir, const char *what)
{
    char *why = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int status = -1;
    bool good;
    pid_t pid = fork();

    if (pid == 0) {
        int null = open("/dev/null", O_WRONLY);

        if (getenv("CRASH_VERBOSE") == NULL)
            dup2(null, STDERR_FILENO);
        alarm(STATE_SECONDS);
        _exit(chdir(dir) == 0 && check_store(c, why, 4096) == 0 ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    good = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!good)
        printf("FAULT %s: %s (exit %d, signal %d)\n", what,
               why[0] != '\0' ? why : "the process died",
               WIFEXITED(status) ? WEXITSTATUS(status) : -1,
               WIFSIGNALED(status) ? WTERMSIG(status) : 0);
    munmap(why, 4096);
    fflush(stdout);
    return good;
}

/* ---- power losses ---- */

static struct state_choice
choose_state(const struct state_record *rec, size_t ready, uint64_t seed, uint64_t i)
{
    uint64_t x = load_mix(seed, 1000000 + i);
    struct state_choice c = {.seed = x};

    c.events = ready + load_mix(x, 11) % (rec->events - ready + 1);
    if (load_mix(x, 14) % 8 == 0) /* in the first start */
        c.events = load_mix(x, 11) % (ready + 1);
    c.names = (enum state_names)(load_mix(x, 12) % 2);
    c.bytes = (enum state_bytes)(load_mix(x, 13) % STATE_BYTES);
    return c;
}

static int
run_power(const struct run *r)
{
    static const char *const bytes[] = {"all", "none", "random", "first"};
    char record[PATH_MAX], dir[PATH_MAX], what[200];
    enum check_end *ends = mem_array(r->steps + 1, sizeof *ends);
    struct state_record rec;
    size_t ready = 0;
    uint64_t faults = 0, began = clock_mono_ms();

    snprintf(record, sizeof record, "%.4000s/record", r->work);
    snprintf(dir, sizeof dir, "%.4000s/state", r->work);
    if ((getenv("CRASH_AGAIN") == NULL && start_load(r, "CRASH_RECORD", record) != 0) ||
        state_read(&rec, record) != 0) {
        fprintf(stderr, "the load failed: see %s/log\n", r->work);
        return 2;
    }
    while (ready < rec.events && rec.v[ready]->op != SHIM_NOTE)
        ready++;
    for (uint64_t i = r->first; i < r->first + r->n; i++) {
        struct state_choice choice = choose_state(&rec, ready, r->seed, i);
        struct check c;

        memset(ends, 0, (r->steps + 1) * sizeof *ends);
        for (size_t k = 0; k < choice.events; k++)
            if (rec.v[k]->op == SHIM_NOTE)
                note_said(ends, r->steps, state_data(rec.v[k]), rec.v[k]->data_n);
        add_said(&c, ends, r->steps, r->seed);
        make_empty(dir);
        if (state_make(&rec, &choice, dir) != 0)
            return 2;
        snprintf(what, sizeof what,
                 "power seed %llu steps %u state %llu (event %zu, names %s, bytes %s)",
                 (unsigned long long)r->seed, r->steps, (unsigned long long)i, choice.events,
                 choice.names == STATE_LOOSE ? "loose" : "journal", bytes[choice.bytes]);
        faults += !check_directory(&c, dir, what);
    }
    printf("%llu states of %zu events, %llu faults, %llu ms\n", (unsigned long long)r->n,
           rec.events, (unsigned long long)faults, (unsigned long long)(clock_mono_ms() - began));
    state_free(&rec);
    free(ends);
    return faults > 0;
}

/* ---- failing system calls ---- */

static const char *const calls[] = {
    "openat",    "write",     "pwrite",          "read",     "pread",
    "fsync",     "fdatasync", "linkat",          "renameat", "unlinkat",
    "ftruncate", "fchmod",    "copy_file_range", "mkdirat",  "mmap",
};
static const int errors[] = {ENOSPC, EIO, EMFILE, ENOMEM};
#define CALLS (sizeof calls / sizeof *calls)

/* seen: how many calls of each kind the load makes. Two in three come after the start. */
static void
set_rule(struct shim_rule *rule, uint64_t x, const uint64_t seen[2][CALLS])
{
    size_t call = load_mix(x, 1) % CALLS;
    bool later = load_mix(x, 6) % 3 != 0;

    snprintf(rule->call, sizeof rule->call, "%s", calls[call]);
    rule->later = later;
    rule->skip = (int64_t)(load_mix(x, 2) % (seen[later][call] + 1));
    rule->times = load_mix(x, 3) % 4 == 0 ? (int64_t)(load_mix(x, 5) % 20 + 2) : 1;
    rule->error = errors[load_mix(x, 4) % 4];
    if (load_mix(x, 8) % 8 == 0) { /* the logs of the database: a few of each call */
        snprintf(rule->path, sizeof rule->path, "db/log.");
        rule->skip %= 8;
    }
}

/* Runs the load without a fault. */
static void
count_calls(const struct run *r, struct shim_rule *rules, const char *control,
            uint64_t seen[2][CALLS])
{
    for (int later = 0; later < 2; later++) {
        memset(rules, 0, SHIM_RULES * sizeof *rules);
        for (size_t i = 0; i < CALLS; i++) {
            snprintf(rules[i].call, sizeof rules[i].call, "%s", calls[i]);
            rules[i].later = later;
        }
        if (start_load(r, "CRASH_SHIM", control) != 0)
            fprintf(stderr, "the load fails by itself: see %s/log\n", r->work);
        for (size_t i = 0; i < CALLS; i++)
            seen[later][i] = (uint64_t)rules[i].seen;
    }
}

/* One call of a kind fails, or some in a row, or two of different kinds. */
static int
run_faults(const struct run *r)
{
    char control[PATH_MAX], said[PATH_MAX], dir[PATH_MAX], what[300];
    enum check_end *ends = mem_array(r->steps + 1, sizeof *ends);
    uint64_t faults = 0, hit = 0, began = clock_mono_ms(), seen[2][CALLS];
    struct shim_rule *rules;
    int fd;

    snprintf(control, sizeof control, "%.4000s/rules", r->work);
    snprintf(said, sizeof said, "%.4000s/said", r->work);
    snprintf(dir, sizeof dir, "%.4000s/data", r->work);
    fd = open(control, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0 || ftruncate(fd, SHIM_RULES * sizeof *rules) != 0)
        usage();
    rules = mmap(NULL, SHIM_RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    count_calls(r, rules, control, seen);
    for (uint64_t i = r->first; i < r->first + r->n; i++) {
        uint64_t x = load_mix(r->seed, 2000000 + i);
        struct check c;
        char line[64];
        FILE *in;
        int status;

        memset(rules, 0, SHIM_RULES * sizeof *rules);
        set_rule(&rules[0], x, seen);
        if (load_mix(x, 9) % 3 == 0)
            set_rule(&rules[1], load_mix(x, 10), seen);
        status = start_load(r, "CRASH_SHIM", control);
        memset(ends, 0, (r->steps + 1) * sizeof *ends);
        in = fopen(said, "r");
        while (in != NULL && fgets(line, sizeof line, in) != NULL)
            note_said(ends, r->steps, line, strlen(line));
        if (in != NULL)
            fclose(in);
        add_said(&c, ends, r->steps, r->seed);
        hit += rules[0].failed > 0 || rules[1].failed > 0;
        snprintf(what, sizeof what,
                 "faults seed %llu steps %u fault %llu (%s from %lld, %lld times, %s; %s)",
                 (unsigned long long)r->seed, r->steps, (unsigned long long)i, rules[0].call,
                 (long long)rules[0].skip, (long long)rules[0].times, strerror(rules[0].error),
                 rules[1].call[0] != '\0' ? rules[1].call : "no other");
        if (WIFSIGNALED(status) && WTERMSIG(status) != SIGKILL) {
            printf("FAULT %s: the load died of signal %d\n", what, WTERMSIG(status));
            faults++;
        }
        faults += !check_directory(&c, dir, what);
    }
    printf("%llu runs, %llu with a failure, %llu faults, %llu ms\n", (unsigned long long)r->n,
           (unsigned long long)hit, (unsigned long long)faults,
           (unsigned long long)(clock_mono_ms() - began));
    free(ends);
    return faults > 0;
}

/* ---- what a killed server has left ---- */

static int
run_tidy(const char *dir)
{
    char why[512] = "";
    struct registry reg;
    struct err err;

    if (chdir(dir) != 0 || load_open(&reg, false, false, &err) != 0) {
        printf("%s can't be opened: %s\n", dir, err.message);
        return 1;
    }
    if (check_leaks(&reg, why, sizeof why) != 0) {
        printf("%s\n", why);
        return 1;
    }
    load_close(&reg);
    puts("after all leases nothing is left that nobody needs");
    return 0;
}

/* ---- what the load does ---- */

static int
print_script(uint64_t seed, unsigned steps)
{
    static const char *const kinds[LOAD_KINDS] = {
        [LOAD_PUSH] = "push",    [LOAD_TAG_GOES] = "delete tag", [LOAD_IMAGE_GOES] = "delete image",
        [LOAD_BLOB] = "blob",    [LOAD_MOUNT] = "mount",         [LOAD_BLOB_GOES] = "delete blob",
        [LOAD_HALF] = "half",    [LOAD_GARBAGE] = "garbage",     [LOAD_CHECKPOINT] = "checkpoint",
        [LOAD_UPKEEP] = "upkeep"};

    for (unsigned i = 0; i < steps; i++) {
        struct load_step s = load_step_of(seed, i);

        printf("%u %s repository=%s tag=%s image=%u blob=%u\n", i, kinds[s.kind],
               load_repository(s.repository), load_tag(s.tag), s.image, s.blob);
    }
    return 0;
}

int
main(int argc, char **argv)
{
    struct run r = {0};
    char work[PATH_MAX];

    if (argc == 5 && strcmp(argv[1], "load") == 0)
        return run_load(argv[2], number_of(argv[3]), (unsigned)number_of(argv[4]));
    if (argc == 3 && strcmp(argv[1], "tidy") == 0)
        return run_tidy(argv[2]);
    if (argc == 4 && strcmp(argv[1], "script") == 0)
        return print_script(number_of(argv[2]), (unsigned)number_of(argv[3]));
    if (argc < 6 || mkdir(argv[2], 0700) != 0 ? errno != EEXIST : false)
        usage();
    if (realpath(argv[2], work) == NULL)
        usage();
    r.work = work;
    r.seed = number_of(argv[3]);
    r.steps = (unsigned)number_of(argv[4]);
    r.n = number_of(argv[5]);
    r.first = argc > 6 ? number_of(argv[6]) : 0;
    if (strcmp(argv[1], "power") == 0)
        return run_power(&r);
    if (strcmp(argv[1], "faults") == 0)
        return run_faults(&r);
    usage();
}
