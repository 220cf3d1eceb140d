#include "domain/events/prehook.h"
#include "domain/metrics/metrics.h"
#include <errno.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/events/hook_last.h"
#include "domain/events/hook_output.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/spawn.h"

int
prehook_find(const struct registry *reg, enum hook which, struct err *err)
{
    int rc = reg->hooks != NULL ? hook_find(reg->hooks, which, err) : 0;

    if (rc >= 0)
        return rc;
    return err_set(err, ERR_DENIED, "the hook %s can't be run; see the log of the registry",
                   hook_name(which));
}

/* The most bytes that a pipe holds (/proc/sys/fs/pipe-max-size). The default is a sixteenth of
 * that. */
#define PIPE_MAX (1u << 20)
#define PIECE_MAX 16384u

/* A pre-hook that runs. */
struct prehook_run {
    pid_t pid, leash;
    int in;    /* the document */
    int out;   /* its output */
    int ended; /* a pidfd: readable when pid has ended */
    int held;  /* when it is closed, the leash kills */
    struct hook_output output;
};

enum prehook_end { ENDED, TOO_LONG, INTERRUPTED };

/* A file in memory, because a pipe would block if the hook doesn't read, and raise SIGPIPE. */
static int
make_document_file(struct bytes document, struct err *err)
{
    int fd = memfd_create("manifest", MFD_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "cannot make a file in memory");
    if (fdio_write_all(fd, document.p, document.n, "a file in memory", err) == 0 &&
        lseek(fd, 0, SEEK_SET) == 0)
        return fd;
    fdio_close(fd);
    return -1;
}

static int
start_prehook(const struct registry *reg, enum hook which, const struct rec_event *e,
              struct arena *arena, struct prehook_run *r, struct err *err)
{
    struct hook_command c;
    struct spawn s;

    if (hook_command_of(reg->hooks, which, e, 0, arena, &c, err) != 0)
        return -1;
    s = (struct spawn){.path = c.path,
                       .argv = c.argv,
                       .envp = c.envp,
                       .dirfd = reg->hooks->dirfd,
                       .in = r->in,
                       .dies_with_us = true};
    if (spawn_start(&s, &r->pid, &r->out, err) != 0)
        return -1;
    r->ended = pidfd_open(r->pid, 0);
    if (r->ended < 0)
        return err_errno(err, "cannot watch a process");
    r->held = spawn_leash(r->pid, &r->leash, err);
    return r->held < 0 ? -1 : 0;
}

/* Reads a piece of the output. False when there is none, now or at all. */
static bool
read_prehook_output(struct prehook_run *r)
{
    char piece[PIECE_MAX];
    ssize_t n;

    errno = 0;
    n = read(r->out, piece, sizeof piece);
    if (n > 0)
        hook_output_take(&r->output, piece, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* The hook has ended: reads what is left in the pipe. A process outside of the hook's group may
 * have the pipe open and write on, so no more than a pipe holds is read. */
static void
read_rest_of_output(struct prehook_run *r)
{
    spawn_kill(r->pid);
    for (size_t left = PIPE_MAX / PIECE_MAX; left > 0 && read_prehook_output(r); left--)
        ;
    hook_output_end(&r->output);
}

/* The hook has ended when its first process has ended, even if others still have its output open.
 */
static enum prehook_end
wait_for_prehook(struct prehook_run *r, uint64_t deadline)
{
    struct pollfd fds[2] = {{.fd = r->ended, .events = POLLIN}, {.fd = r->out, .events = POLLIN}};

    for (;;) {
        uint64_t now = clock_mono_ms();

        if (now >= deadline)
            return TOO_LONG;
        if (poll(fds, 2, deadline - now > 60000 ? 60000 : (int)(deadline - now)) < 0)
            return errno == EINTR ? INTERRUPTED : TOO_LONG; /* only SIGTERM interrupts */
        if (fds[0].revents != 0) {
            read_rest_of_output(r);
            return ENDED;
        }
        if (fds[1].revents != 0 && !read_prehook_output(r) && errno != EAGAIN)
            fds[1].fd = -1;
    }
}

/* Kills and reaps all processes, and closes all descriptors. Returns the status, as from waitpid.
 */
static int
clean_up_prehook(struct prehook_run *r)
{
    int status = 0;

    spawn_kill(r->pid);
    fdio_close(r->held);
    if (r->leash > 0)
        spawn_wait(r->leash);
    if (r->pid > 0)
        status = spawn_wait(r->pid);
    fdio_close(r->in);
    fdio_close(r->out);
    fdio_close(r->ended);
    return status;
}

static int
judge_prehook(const struct registry *reg, enum hook which, const struct prehook_run *r,
              enum prehook_end end, int status, struct err *err)
{
    const char *name = hook_name(which);

    if (end == INTERRUPTED)
        return err_set(err, ERR_BUSY, "the registry is stopping, and doesn't wait for the hook %s",
                       name);
    if (end == TOO_LONG)
        return err_set(err, ERR_DENIED, "the hook %s took longer than %llu s", name,
                       (unsigned long long)reg->pre_hook_timeout_ms / 1000);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_DENIED, "the hook %s died of signal %d", name, WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return 0;
    if (r->output.last[0] != '\0')
        return err_set_utf8(err, ERR_DENIED, r->output.last);
    return err_set(err, ERR_DENIED, "refused by the hook %s (exit code %d)", name,
                   WEXITSTATUS(status));
}

/* Why it failed, if the exit code and the output don't tell. */
static const char *
reason_of_end(enum prehook_end end)
{
    return end == TOO_LONG ? "killed at its time limit" : "";
}

int
prehook_ask(const struct registry *reg, enum hook which, const struct rec_event *e,
            struct bytes document, struct arena *arena, struct err *err)
{
    struct prehook_run r = {.pid = -1,
                            .leash = -1,
                            .in = make_document_file(document, err),
                            .out = -1,
                            .ended = -1,
                            .held = -1};
    uint64_t deadline = clock_mono_ms() + reg->pre_hook_timeout_ms;
    struct hook_last last = {.which = which,
                             .event = e,
                             .began_ms = clock_wall_ms(),
                             .why = "",
                             .output = &r.output.tail};
    enum prehook_end end;
    int rc;

    if (r.in < 0)
        return -1;
    hook_output_begin(&r.output, which, e);
    if (start_prehook(reg, which, e, arena, &r, err) != 0) {
        clean_up_prehook(&r);
        last.why = err->message;
        hook_last_save(reg->dirfd, &last);
        log_client_line(LOG_ERROR, "a pre-hook can't be started",
                        "hook=%s repository=%s user=%s why=%s", hook_name(which), e->repository,
                        e->actor, err->message);
        return err_set(err, ERR_BUSY, "the hook %s can't be started", hook_name(which));
    }
    end = wait_for_prehook(&r, deadline);
    last.status = clean_up_prehook(&r);
    if (end == TOO_LONG)
        log_client_line(LOG_WARN, "a pre-hook took too long and was killed",
                        "hook=%s repository=%s user=%s ms=%llu", hook_name(which), e->repository,
                        e->actor, (unsigned long long)reg->pre_hook_timeout_ms);
    rc = judge_prehook(reg, which, &r, end, last.status, err);
    last.has_status = true;
    last.why = reason_of_end(end);
    if (end != INTERRUPTED)
        hook_last_save(reg->dirfd, &last);
    metrics_count(reg->counts, METRIC_HOOK_RUNS,
                  which * METRICS_RESULTS + (rc == 0 ? METRICS_OK : METRICS_FAILED), 1);
    return rc;
}
