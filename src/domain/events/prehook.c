#include "domain/events/prehook.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "domain/events/hook_output.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/spawn.h"
#include "util/banned.h"

int
prehook_find(const struct registry *reg, enum hook which, struct err *err)
{
    int rc = reg->hooks != NULL ? hook_find(reg->hooks, which, err) : 0;

    if (rc >= 0)
        return rc;
    return err_set(err, ERR_DENIED, "the hook %s can't be run; the log of the registry says why",
                   hook_name(which));
}

/* The most that a pipe holds (/proc/sys/fs/pipe-max-size); usually it is a sixteenth of that. */
#define PIPE_MAX (1u << 20)

/* One that runs. */
struct running {
    pid_t pid, leash;
    int in;    /* the document */
    int out;   /* what it says */
    int ended; /* readable when pid has ended */
    int held;  /* closing it lets the leash kill */
    struct hook_output said;
};

enum end { ENDED, TOO_LONG, INTERRUPTED };

/* In memory, so that nobody waits for a hook that doesn't read, and none dies of SIGPIPE. */
static int
document_file(struct bytes document, struct err *err)
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
              struct arena *arena, struct running *r, struct err *err)
{
    struct hook_command c;

    if (hook_command_of(reg->hooks, which, e, 0, arena, &c, err) != 0)
        return -1;
    struct spawn s = {.path = c.path,
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

/* A piece of what there is to read; false when there is nothing, now or for ever. */
static bool
read_prehook_output(struct running *r)
{
    char piece[16384];
    ssize_t n;

    errno = 0;
    n = read(r->out, piece, sizeof piece);
    if (n > 0)
        hook_output_take(&r->said, piece, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

/* Its last words, when it has ended. Somebody that it left behind may go on talking. */
static void
listen_to_the_end(struct running *r)
{
    spawn_kill(r->pid);
    for (size_t left = PIPE_MAX / 16384; left > 0 && read_prehook_output(r); left--)
        ;
    hook_output_end(&r->said);
}

/* It has ended when the program itself has; who else has its output doesn't count. */
static enum end
wait_for(struct running *r, uint64_t deadline)
{
    struct pollfd fds[2] = {{.fd = r->ended, .events = POLLIN}, {.fd = r->out, .events = POLLIN}};

    for (;;) {
        uint64_t now = clock_mono_ms();

        if (now >= deadline)
            return TOO_LONG;
        if (poll(fds, 2, deadline - now > 60000 ? 60000 : (int)(deadline - now)) < 0)
            return errno == EINTR ? INTERRUPTED : TOO_LONG; /* SIGTERM, and nothing else */
        if (fds[0].revents != 0) {
            listen_to_the_end(r);
            return ENDED;
        }
        if (fds[1].revents != 0 && !read_prehook_output(r) && errno != EAGAIN)
            fds[1].fd = -1;
    }
}

/* Kills and reaps whatever there is. The status, as waitpid has it. */
static int
clean_up(struct running *r)
{
    int status = 0;

    spawn_kill(r->pid);
    fdio_close(r->held);
    while (r->leash > 0 && waitpid(r->leash, NULL, 0) < 0 && errno == EINTR)
        ;
    while (r->pid > 0 && waitpid(r->pid, &status, 0) < 0 && errno == EINTR)
        ;
    fdio_close(r->in);
    fdio_close(r->out);
    fdio_close(r->ended);
    return status;
}

static int
verdict(const struct registry *reg, enum hook which, const struct running *r, enum end end,
        int status, struct err *err)
{
    const char *name = hook_name(which);

    if (end == INTERRUPTED)
        return err_set(err, ERR_BUSY, "the registry stops, and nobody waits for the hook %s", name);
    if (end == TOO_LONG)
        return err_set(err, ERR_DENIED, "the hook %s took longer than %llu s", name,
                       (unsigned long long)reg->pre_hook_timeout_ms / 1000);
    if (WIFSIGNALED(status))
        return err_set(err, ERR_DENIED, "the hook %s died of signal %d", name, WTERMSIG(status));
    if (WEXITSTATUS(status) == 0)
        return 0;
    if (r->said.last[0] != '\0')
        return err_set_utf8(err, ERR_DENIED, r->said.last);
    return err_set(err, ERR_DENIED, "refused by the hook %s (exit code %d)", name,
                   WEXITSTATUS(status));
}

int
prehook_ask(const struct registry *reg, enum hook which, const struct rec_event *e,
            struct bytes document, struct arena *arena, struct err *err)
{
    struct running r = {.pid = -1,
                        .leash = -1,
                        .in = document_file(document, err),
                        .out = -1,
                        .ended = -1,
                        .held = -1};
    uint64_t deadline = clock_mono_ms() + reg->pre_hook_timeout_ms;
    enum end end;
    int status;

    if (r.in < 0)
        return -1;
    hook_output_begin(&r.said, which, e);
    if (start_prehook(reg, which, e, arena, &r, err) != 0) {
        clean_up(&r);
        log_line(LOG_ERROR, "a pre-hook can't be started", "hook=%s why=%s", hook_name(which),
                 err->message);
        return err_set(err, ERR_BUSY, "the hook %s can't be started", hook_name(which));
    }
    end = wait_for(&r, deadline);
    status = clean_up(&r);
    if (end == TOO_LONG)
        log_line(LOG_WARN, "a pre-hook took too long, and was killed", "hook=%s ms=%llu",
                 hook_name(which), (unsigned long long)reg->pre_hook_timeout_ms);
    return verdict(reg, which, &r, end, status, err);
}
