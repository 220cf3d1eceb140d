#include "process/herald/herald_job.h"
#include <errno.h>
#include <signal.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/events/event_text.h"
#include "util/arena.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/spawn.h"
#include "util/utf8.h"

#define TERM_MS 2000 /* from SIGTERM to SIGKILL */
/* For the output of programs that the hook has started (tee, logger). */
#define LAST_WORDS_MS 1000
#define READ_BYTES (16u << 10)
#define READS_MAX 8 /* at a time, so that other hooks are read as well */
#define ARENA_MAX (1u << 20)
/* Once lines were left out, the next one waits until there is room for this many bytes. */
#define ROOM_AGAIN (HERALD_JOB_BURST / 8)

/* ---- lines ---- */

/* What a line of n bytes takes in the log. */
static size_t
hook_line_size(const struct herald_job *j, size_t n)
{
    return EVENT_TEXT_ID - 1 + strlen(" - ./hooks/: \n") + strlen(hook_name(j->which)) + n;
}

static void
put_hook_line(const struct herald_job *j, const char *text, size_t n)
{
    char id[EVENT_TEXT_ID];
    struct buf line;

    event_text_id(id, &j->event.event);
    buf_init(&line, HERALD_JOB_LINE_MAX + 200);
    buf_putf(&line, "%s - ./hooks/%s: ", id, hook_name(j->which));
    buf_put(&line, text, n);
    buf_putc(&line, '\n');
    if (buf_ok(&line))
        herald_log_put(j->setting->log, buf_bytes(&line));
    buf_free(&line);
}

static void
put_lost_lines(struct herald_job *j)
{
    char text[80];
    int n;

    if (j->lost == 0)
        return;
    n = snprintf(text, sizeof text, "(%llu lines left out)", (unsigned long long)j->lost);
    put_hook_line(j, text, (size_t)n);
    j->lost = 0;
}

static void
refill_line_rate(struct herald_job *j)
{
    uint64_t now = loop_now(j->setting->loop);
    uint64_t more = (now - j->room_at) * HERALD_JOB_BYTES_PER_MS;

    j->room_at = now;
    j->room = more >= HERALD_JOB_BURST - j->room ? HERALD_JOB_BURST : j->room + more;
}

static void
keep_last_line(struct herald_job *j)
{
    size_t n = j->line_n < sizeof j->last - 1 ? j->line_n : sizeof j->last - 1;

    if (n == 0)
        return;
    memcpy(j->last, j->line, n);
    j->last[n] = '\0';
}

static void
end_hook_line(struct herald_job *j)
{
    char text[HERALD_JOB_LINE_MAX + 64];
    size_t n, size;

    if (j->line_over == 0 && j->line_n > 0 && j->line[j->line_n - 1] == '\r')
        j->line_n--;
    j->line_n = utf8_make_plain(j->line, j->line_n);
    keep_last_line(j);
    hook_last_line(&j->tail, bytes_of(j->line, j->line_n));
    n = j->line_n;
    memcpy(text, j->line, n);
    if (j->line_over > 0)
        n += (size_t)snprintf(text + n, sizeof text - n, " (%llu bytes left out)",
                              (unsigned long long)j->line_over);
    j->line_n = 0;
    j->line_over = 0;
    size = hook_line_size(j, n);
    if (j->room < size || (j->lost > 0 && j->room < ROOM_AGAIN)) {
        j->lost++;
        return;
    }
    put_lost_lines(j);
    j->room -= size;
    put_hook_line(j, text, n);
}

static void
split_hook_output(struct herald_job *j, const char *p, size_t n)
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
            end_hook_line(j);
            piece++;
        }
        p += piece;
        n -= piece;
    }
}

static void
close_hook_output(struct herald_job *j)
{
    loop_fd_stop(&j->output_fd);
    fdio_close(j->output);
    j->output = -1;
}

static void
read_hook_output(struct herald_job *j)
{
    char bytes[READ_BYTES];

    refill_line_rate(j);
    for (int i = 0; j->output >= 0 && i < READS_MAX; i++) {
        ssize_t n = read(j->output, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        if (n > 0)
            split_hook_output(j, bytes, (size_t)n);
        else
            close_hook_output(j);
    }
}

/* ---- the end ---- */

static void
save_last_run(const struct herald_job *j, bool has_status, int status, const char *why)
{
    const struct hook_last last = {.which = j->which,
                                   .event = &j->event.event,
                                   .began_ms = j->began_ms,
                                   .has_status = has_status,
                                   .status = status,
                                   .why = why,
                                   .output = &j->tail};

    if (!j->cut)
        hook_last_save(j->setting->hooks->dirfd, &last);
}

static void
end_job(struct herald_job *j, bool ok)
{
    char id[EVENT_TEXT_ID];

    j->state = HERALD_JOB_ENDED;
    j->ok = ok;
    if (ok || j->cut)
        return;
    event_text_id(id, &j->event.event);
    log_client_line(LOG_WARN, "hook failed",
                    "hook=%s id=%lu image=%s user=%s repository=%s tries=%lu why=%s",
                    hook_name(j->which), (unsigned long)j->event.seq, id, j->event.event.actor,
                    j->event.event.repository, (unsigned long)j->tries + 1, j->last);
}

/* Kills the group before it reaps the leader: until then no other process can get its number. */
static int
reap_hook(struct herald_job *j)
{
    int status;

    spawn_kill(j->pid);
    status = spawn_wait(j->pid);
    j->pid = 0;
    loop_timer_stop(&j->deadline);
    loop_fd_stop(&j->exited_fd);
    fdio_close(j->exited);
    j->exited = -1;
    return status;
}

static void
finish_job(struct herald_job *j)
{
    int status;
    bool ok;

    read_hook_output(j);
    status = reap_hook(j);
    if (j->line_n > 0 || j->line_over > 0)
        end_hook_line(j);
    put_lost_lines(j);
    close_hook_output(j);
    ok = WIFEXITED(status) && WEXITSTATUS(status) == 0 && !j->timed_out;
    if (j->timed_out)
        snprintf(j->last, sizeof j->last, "killed after %llu s, its time limit",
                 (unsigned long long)j->setting->limit_ms / 1000);
    else if (!ok && j->last[0] == '\0' && WIFSIGNALED(status))
        snprintf(j->last, sizeof j->last, "killed by signal %d", WTERMSIG(status));
    else if (!ok && j->last[0] == '\0')
        snprintf(j->last, sizeof j->last, "exit code %d", WEXITSTATUS(status));
    save_last_run(j, true, status, j->timed_out ? j->last : "");
    end_job(j, ok);
}

/* ---- what happens to it ---- */

static void
on_hook_output(void *arg)
{
    struct herald_job *j = arg;

    read_hook_output(j);
    if (j->output < 0 && j->state == HERALD_JOB_EXITED)
        finish_job(j);
}

static void
on_hook_exit(void *arg)
{
    struct herald_job *j = arg;

    loop_fd_stop(&j->exited_fd);
    j->state = HERALD_JOB_EXITED;
    if (j->output < 0)
        finish_job(j);
    else
        loop_timer_at(&j->deadline, loop_now(j->setting->loop) + LAST_WORDS_MS);
}

static void
terminate_job(struct herald_job *j, uint64_t kill_after_ms)
{
    j->state = HERALD_JOB_TERMINATED;
    kill(-j->pid, SIGTERM);
    loop_timer_at(&j->deadline, loop_now(j->setting->loop) + kill_after_ms);
}

static void
on_hook_deadline(void *arg)
{
    struct herald_job *j = arg;

    if (j->state == HERALD_JOB_RUNNING) {
        j->timed_out = true;
        terminate_job(j, TERM_MS);
    } else if (j->state == HERALD_JOB_TERMINATED) {
        j->state = HERALD_JOB_KILLED;
        spawn_kill(j->pid);
    } else if (j->state == HERALD_JOB_EXITED) {
        finish_job(j);
    }
}

void
herald_job_cut(struct herald_job *j)
{
    if (j->state != HERALD_JOB_RUNNING)
        return;
    j->cut = true;
    terminate_job(j, HERALD_JOB_CUT_MS);
}

/* ---- the beginning ---- */

static void
put_executing_line(const struct herald_job *j)
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
        herald_log_put(j->setting->log, buf_bytes(&line));
    buf_free(&line);
}

static int
spawn_hook(struct herald_job *j, struct err *err)
{
    const struct hooks *hooks = j->setting->hooks;
    struct hook_command c;
    struct arena arena;
    int rc;

    arena_init(&arena, ARENA_MAX);
    rc = hook_command_of(hooks, j->which, &j->event.event, j->event.seq, &arena, &c, err);
    if (rc == 0) {
        struct spawn s = {.path = c.path,
                          .argv = c.argv,
                          .envp = c.envp,
                          .dirfd = hooks->dirfd,
                          .in = -1,
                          .dies_with_us = true};
        put_executing_line(j);
        rc = spawn_start(&s, &j->pid, &j->output, err);
    }
    arena_reset(&arena);
    if (rc != 0)
        return -1;
    j->exited = pidfd_open(j->pid, 0);
    if (j->exited >= 0)
        return 0;
    err_errno(err, "cannot watch a hook");
    reap_hook(j);
    close_hook_output(j);
    return -1;
}

void
herald_job_start(struct herald_job *j, const struct herald_job_setting *setting,
                 const struct outbox_event *e, uint32_t tries)
{
    struct loop *loop = setting->loop;
    struct err err;
    int found;

    *j = (struct herald_job){.setting = setting,
                             .state = HERALD_JOB_RUNNING,
                             .event = *e,
                             .which = hook_of_event(e->event.type),
                             .tries = tries,
                             .output = -1,
                             .exited = -1,
                             .room = HERALD_JOB_BURST,
                             .room_at = loop_now(loop),
                             .began_ms = clock_wall_ms()};
    loop_fd_init(&j->output_fd, loop, on_hook_output, j);
    loop_fd_init(&j->exited_fd, loop, on_hook_exit, j);
    loop_timer_init(&j->deadline, loop, on_hook_deadline, j);
    found = hook_find(setting->hooks, j->which, &err);
    if (found == 1 && spawn_hook(j, &err) == 0) {
        loop_fd_set(&j->output_fd, j->output, POLLIN);
        loop_fd_set(&j->exited_fd, j->exited, POLLIN);
        loop_timer_at(&j->deadline, loop_now(loop) + setting->limit_ms);
        return;
    }
    if (found != 0) {
        snprintf(j->last, sizeof j->last, "%.*s", RECORD_HOOK_LINE_MAX, err.message);
        save_last_run(j, false, 0, j->last);
    }
    end_job(j, found == 0); /* without a hook there is nothing to do */
}
