#include "process/herald/herald_job.h"
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/events/event_text.h"
#include "util/arena.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/spawn.h"
#include "util/banned.h"

/* From SIGTERM to SIGKILL. */
#define TERM_MS 2000
/* What it started may still say something when it has ended itself (tee, logger). */
#define LAST_WORDS_MS 1000
#define READ_BYTES (16u << 10)
#define READS_MAX 8 /* at once; others want to be read, too */
#define ARENA_MAX (1u << 20)
/* After something was left out, so much room is waited for. */
#define ROOM_AGAIN (HERALD_JOB_BURST / 8)

/* ---- lines ---- */

static void
put_prefixed(const struct herald_job *j, struct herald_log *log, const char *text, size_t n)
{
    char id[EVENT_TEXT_ID];
    struct buf line;
    event_text_id(id, &j->event.event);
    buf_init(&line, HERALD_JOB_LINE_MAX + 200);
    buf_putf(&line, "%s - ./hooks/%s: ", id, hook_name(j->which));
    buf_put(&line, text, n);
    buf_putc(&line, '\n');
    if (buf_ok(&line))
        herald_log_put(log, buf_bytes(&line));
    buf_free(&line);
}

static void
say_lost(struct herald_job *j, struct herald_log *log)
{
    char text[80];
    if (j->lost == 0)
        return;
    int n = snprintf(text, sizeof text, "(%llu lines left out)", (unsigned long long)j->lost);
    put_prefixed(j, log, text, (size_t)n);
    j->lost = 0;
}

static void
refill_line_rate(struct herald_job *j, uint64_t now)
{
    uint64_t more = (now - j->room_at) * HERALD_JOB_BYTES_PER_MS;
    j->room_at = now;
    j->room = more >= HERALD_JOB_BURST - j->room ? HERALD_JOB_BURST : j->room + more;
}

/* Nothing that a terminal would obey. */
static void
make_printable(char *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (((unsigned char)p[i] < ' ' && p[i] != '\t') || p[i] == 0x7f)
            p[i] = '?';
}

static void
keep_last(struct herald_job *j)
{
    size_t n = j->line_n < sizeof j->last - 1 ? j->line_n : sizeof j->last - 1;
    if (n == 0)
        return;
    memcpy(j->last, j->line, n);
    j->last[n] = '\0';
}

static void
end_job_line(struct herald_job *j, struct herald_log *log)
{
    char text[HERALD_JOB_LINE_MAX + 64];
    if (j->line_over == 0 && j->line_n > 0 && j->line[j->line_n - 1] == '\r')
        j->line_n--;
    make_printable(j->line, j->line_n);
    keep_last(j);
    size_t n = j->line_n;
    memcpy(text, j->line, n);
    if (j->line_over > 0)
        n += (size_t)snprintf(text + n, sizeof text - n, " (%llu bytes left out)",
                              (unsigned long long)j->line_over);
    j->line_n = 0;
    j->line_over = 0;
    if (j->room < n + 1 || (j->lost > 0 && j->room < ROOM_AGAIN)) {
        j->lost++;
        return;
    }
    say_lost(j, log);
    j->room -= n + 1;
    put_prefixed(j, log, text, n);
}

static void
take_output(struct herald_job *j, const char *p, size_t n, struct herald_log *log)
{
    while (n > 0) {
        const char *end = memchr(p, '\n', n);
        size_t piece = end != NULL ? (size_t)(end - p) : n;
        size_t fits = sizeof j->line - j->line_n;
        if (fits > piece)
            fits = piece;
        memcpy(j->line + j->line_n, p, fits);
        j->line_n += fits;
        j->line_over += piece - fits;
        if (end != NULL) {
            end_job_line(j, log);
            piece++;
        }
        p += piece;
        n -= piece;
    }
}

void
herald_job_read(struct herald_job *j, struct herald_log *log, uint64_t now)
{
    char bytes[READ_BYTES];
    refill_line_rate(j, now);
    for (int i = 0; j->out >= 0 && i < READS_MAX; i++) {
        ssize_t n = read(j->out, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0) {
            take_output(j, bytes, (size_t)n, log);
        } else {
            fdio_close(j->out);
            j->out = -1;
        }
    }
}

/* ---- its beginning ---- */

static void
say_executing(const struct herald_job *j, struct herald_log *log)
{
    char id[EVENT_TEXT_ID];
    struct hook_arguments a;
    struct buf line;
    event_text_id(id, &j->event.event);
    hook_arguments_of(&a, j->which, &j->event.event);
    buf_init(&line, 2000);
    buf_putf(&line, "%s - executing ./hooks/%s %s%s%s\n", id, hook_name(j->which), a.id,
             a.about[0] != '\0' ? " " : "", a.about);
    if (buf_ok(&line))
        herald_log_put(log, buf_bytes(&line));
    buf_free(&line);
}

static int
spawn_hook(struct herald_job *j, struct hooks *hooks, struct herald_log *log, struct err *err)
{
    struct hook_command c;
    struct arena arena;
    arena_init(&arena, ARENA_MAX);
    int rc = hook_command_of(hooks, j->which, &j->event.event, j->event.seq, &arena, &c, err);
    if (rc == 0) {
        struct spawn s = {.path = c.path,
                          .argv = c.argv,
                          .envp = c.envp,
                          .dirfd = hooks->dirfd,
                          .in = -1,
                          .dies_with_us = true};
        say_executing(j, log);
        rc = spawn_start(&s, &j->pid, &j->out, err);
    }
    arena_reset(&arena);
    return rc;
}

static void
tell_failure(const struct herald_job *j)
{
    char id[EVENT_TEXT_ID];
    event_text_id(id, &j->event.event);
    log_line(LOG_WARN, "hook failed", "hook=%s id=%lu image=%s repository=%s tries=%lu why=%s",
             hook_name(j->which), (unsigned long)j->event.seq, id, j->event.event.repository,
             (unsigned long)j->tries + 1, j->last);
}

static void
end_with(struct herald_job *j, bool ok)
{
    j->state = HERALD_JOB_ENDED;
    j->ok = ok;
    if (!ok && !j->cut)
        tell_failure(j);
}

void
herald_job_start(struct herald_job *j, struct hooks *hooks, const struct outbox_event *e,
                 uint32_t tries, uint64_t limit_ms, struct herald_log *log, uint64_t now)
{
    struct err err;
    *j = (struct herald_job){.state = HERALD_JOB_RUNNING,
                             .event = *e,
                             .which = hook_of_event(e->event.type),
                             .tries = tries,
                             .out = -1,
                             .limit_ms = limit_ms,
                             .deadline = now + limit_ms,
                             .room = HERALD_JOB_BURST,
                             .room_at = now};
    int found = hook_find(hooks, j->which, &err);
    if (found == 1 && spawn_hook(j, hooks, log, &err) == 0)
        return;
    if (found != 0)
        snprintf(j->last, sizeof j->last, "%.*s", RECORD_HOOK_LINE_MAX, err.message);
    end_with(j, found == 0); /* without a hook there is nothing to do */
}

/* ---- its end ---- */

/* What is left of the group goes before the leader is reaped: until then its number is nobody
 * else's. */
static void
finish_job(struct herald_job *j, struct herald_log *log, uint64_t now)
{
    herald_job_read(j, log, now);
    spawn_kill(j->pid);
    while (waitpid(j->pid, &j->status, 0) < 0 && errno == EINTR)
        ;
    j->pid = 0;
    if (j->line_n > 0 || j->line_over > 0)
        end_job_line(j, log);
    say_lost(j, log);
    fdio_close(j->out);
    j->out = -1;
    bool ok = WIFEXITED(j->status) && WEXITSTATUS(j->status) == 0 && !j->timed_out;
    if (j->timed_out)
        snprintf(j->last, sizeof j->last, "killed after %llu s, its time limit",
                 (unsigned long long)j->limit_ms / 1000);
    else if (!ok && j->last[0] == '\0' && WIFSIGNALED(j->status))
        snprintf(j->last, sizeof j->last, "killed by signal %d", WTERMSIG(j->status));
    else if (!ok && j->last[0] == '\0')
        snprintf(j->last, sizeof j->last, "exit code %d", WEXITSTATUS(j->status));
    end_with(j, ok);
}

static bool
job_has_exited(const struct herald_job *j)
{
    siginfo_t info = {.si_pid = 0};
    return waitid(P_PID, (id_t)j->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == j->pid;
}

void
herald_job_tick(struct herald_job *j, struct herald_log *log, uint64_t now)
{
    if (j->state == HERALD_JOB_FREE || j->state == HERALD_JOB_ENDED)
        return;
    if (j->state != HERALD_JOB_EXITED && job_has_exited(j)) {
        j->state = HERALD_JOB_EXITED;
        j->deadline = now + LAST_WORDS_MS;
    }
    if (j->state == HERALD_JOB_EXITED && (j->out < 0 || now >= j->deadline)) {
        finish_job(j, log, now);
    } else if (j->state == HERALD_JOB_RUNNING && now >= j->deadline) {
        j->timed_out = true;
        j->state = HERALD_JOB_TERMINATED;
        j->deadline = now + TERM_MS;
        kill(-j->pid, SIGTERM);
    } else if (j->state == HERALD_JOB_TERMINATED && now >= j->deadline) {
        j->state = HERALD_JOB_KILLED;
        spawn_kill(j->pid);
    }
}

uint64_t
herald_job_due(const struct herald_job *j)
{
    switch (j->state) {
    case HERALD_JOB_RUNNING:
    case HERALD_JOB_TERMINATED:
    case HERALD_JOB_EXITED:
        return j->deadline;
    default:
        return UINT64_MAX;
    }
}

void
herald_job_cut(struct herald_job *j, uint64_t now)
{
    if (j->state != HERALD_JOB_RUNNING)
        return;
    j->cut = true;
    j->state = HERALD_JOB_TERMINATED;
    j->deadline = now + HERALD_JOB_CUT_MS;
    kill(-j->pid, SIGTERM);
}
