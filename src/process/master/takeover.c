#include "process/master/takeover.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/options/options_change.h"
#include "process/options/options_parse.h"
#include "process/server/given_users.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"

#define CHECK_MS 30000
#define TEXT_MAX (64u * 1024)
#define SELF "/proc/self/exe"
#define CALLER "caller"
#define COMMAND "upgrade"

static void
read_check_output(void *arg)
{
    struct takeover *t = arg;
    char piece[4096];
    ssize_t n;

    while ((n = read(t->said, piece, sizeof piece)) > 0)
        if (t->text.n + (size_t)n <= TEXT_MAX)
            buf_put(&t->text, piece, (size_t)n);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        loop_fd_stop(&t->readable);
}

static void
end_check(void *arg)
{
    const struct takeover *t = arg;

    if (t->check.pid != 0)
        kill(t->check.pid, SIGKILL);
}

void
takeover_init(struct takeover *t, const struct server *s, struct loop *loop)
{
    *t = (struct takeover){
        .server = s, .loop = loop, .program = -1, .caller = -1, .said = -1, .said_end = -1};
    loop_fd_init(&t->readable, loop, read_check_output, t);
    loop_timer_init(&t->limit, loop, end_check, t);
    buf_init(&t->text, 2 * TEXT_MAX);
}

void
takeover_free(struct takeover *t)
{
    end_check(t);
    loop_fd_stop(&t->readable);
    loop_timer_stop(&t->limit);
    buf_free(&t->text);
}

/* ---- answers to the command ---- */

static void
answer_caller(int *caller, enum command_exit code, const char *text)
{
    if (*caller >= 0)
        control_call_answer(*caller, code, text);
    fdio_close(*caller);
    *caller = -1;
}

static void
end_takeover(struct takeover *t, const char *why)
{
    log_line(LOG_ERROR,
             t->caller >= 0 ? "no other program takes over" : "the options stay as they were",
             "why=%s", why);
    answer_caller(&t->caller, COMMAND_FAILED, why);
    fdio_close(t->program);
    t->program = -1;
    t->state = TAKEOVER_NONE;
    t->ended = true;
}

/* ---- the check ---- */

/* The command line with "check" as the command. */
static char **
check_arguments(const struct options *o)
{
    static char check[] = "check";
    char **argv = mem_array((size_t)o->argc + 2, sizeof *argv);
    int from = o->argc > 1 && strcmp(o->argv[1], "serve") == 0 ? 2 : 1, n = 0;

    argv[n++] = o->argv[0];
    argv[n++] = check;
    for (int i = from; i < o->argc; i++)
        argv[n++] = o->argv[i];
    argv[n] = NULL;
    return argv;
}

/* In the child. */
static int
run_option_check(void *arg, pid_t master)
{
    const struct takeover *t = arg;
    int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);
    sigset_t none;

    (void)master;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    privileges_use(&t->server->who, PRIVILEGES_READ);
    if (fchdir(t->server->startdir) != 0)
        _exit(COMMAND_FAILED);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(t->said_end, STDERR_FILENO);
    privileges_pass(&t->server->who, true);
    fexecve(t->program, check_arguments(t->server->options), environ);
    dprintf(STDERR_FILENO, "cannot execute the program: %s\n", strerror(errno));
    _exit(COMMAND_FAILED);
}

/* The first line, which is the first fault, without the name of the program. */
static const char *
first_fault(struct takeover *t)
{
    static const char name[] = "docker-registry-server: ", warning[] = "warning: ";
    char *line = t->text.p;

    if (t->text.n == 0)
        return "the check of the options ended without a message";
    for (;;) {
        char *end = line + strcspn(line, "\n");
        bool last = *end == '\0' || end[1] == '\0';

        if (strncmp(line, name, strlen(name)) == 0)
            line += strlen(name);
        if (last || strncmp(line, warning, strlen(warning)) != 0) {
            *end = '\0';
            return line;
        }
        line = end + 1;
    }
}

static void
on_check_end(void *arg, pid_t pid, int status)
{
    struct takeover *t = arg;

    (void)pid;
    read_check_output(t);
    loop_fd_stop(&t->readable);
    loop_timer_stop(&t->limit);
    fdio_close(t->said);
    t->said = -1;
    if (status == 0)
        t->state = TAKEOVER_READY;
    else
        end_takeover(t, WIFEXITED(status) ? first_fault(t) : "the check of the options died");
}

static bool
begin_check(struct takeover *t)
{
    int ends[2], rc;

    t->state = TAKEOVER_CHECKING;
    t->ended = false;
    buf_cut(&t->text, 0);
    if (t->program < 0 || pipe2(ends, O_CLOEXEC) < 0) {
        end_takeover(t, "the program can't be opened");
        return false;
    }
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    t->said_end = ends[1];
    rc = loop_fork(t->loop, &t->check, run_option_check, on_check_end, t);
    close(ends[1]);
    t->said = ends[0];
    if (rc != 0) {
        fdio_close(t->said);
        t->said = -1;
        end_takeover(t, "a process can't be started");
        return false;
    }
    loop_fd_set(&t->readable, t->said, POLLIN);
    loop_timer_at(&t->limit, loop_now(t->loop) + CHECK_MS);
    return true;
}

/* ---- who wants it ---- */

static int
read_options_again(const struct server *s, struct options *o, struct err *err)
{
    int rc;

    *o = (struct options){.command = NULL};
    privileges_use(&s->who, PRIVILEGES_READ);
    rc = fchdir(s->startdir) == 0 ? options_parse(o, s->options->argc, s->options->argv, err)
                                  : err_errno(err, "cannot go back to the directory of the start");
    if (fchdir(s->dir.fd) != 0)
        rc = err_errno(err, "cannot enter directory %s", s->dir.name);
    privileges_use(&s->who, 0);
    return rc;
}

static bool
users_differ(const struct server *s, const struct options *o)
{
    struct buf lines;
    struct err ignored;
    bool differ;

    buf_init(&lines, HTPASSWD_MAX);
    differ = given_users_hash(o, &s->token_keys, buf_bytes(&s->given), &lines, &ignored) != 0 ||
             !bytes_equal(buf_bytes(&lines), buf_bytes(&s->given));
    buf_free(&lines);
    return differ;
}

/* Those that count without a restart. */
static bool
has_changed_options(const struct server *s, const struct options *o)
{
    bool changed = users_differ(s, o);

    for (size_t i = 0; i < options_table_n; i++) {
        const struct options_row *row = &options_table[i];

        if (!options_table_in_file(row) || !options_change_is(row, s->options, o))
            continue;
        log_line(row->restart ? LOG_WARN : LOG_INFO,
                 row->restart ? "a changed option counts after a restart" : "an option has changed",
                 "option=%s", row->name);
        changed = changed || !row->restart;
    }
    return changed;
}

bool
takeover_reload(struct takeover *t)
{
    struct options o;
    struct err err;
    bool changed = false;

    if (t->state != TAKEOVER_NONE) {
        t->again = t->state == TAKEOVER_CHECKING;
        return true;
    }
    t->again = false;
    if (t->server->options->config == NULL || t->server->is_copy)
        return false;
    if (read_options_again(t->server, &o, &err) != 0)
        log_line(LOG_ERROR, "the options stay as they were", "why=%s", err.message);
    else
        changed = has_changed_options(t->server, &o);
    options_free(&o);
    if (!changed)
        return false;
    t->program = open(SELF, O_PATH | O_CLOEXEC);
    return begin_check(t);
}

/* A program that root names runs with rights of root's. */
static bool
may_upgrade(const struct takeover *t, int connection)
{
    struct ucred who;
    socklen_t n = sizeof who;

    return getsockopt(connection, SOL_SOCKET, SO_PEERCRED, &who, &n) == 0 &&
           (who.uid == 0 || !t->server->who.root);
}

bool
takeover_request(struct takeover *t, struct control_door_request *r)
{
    const char *refusal = NULL;

    if (strcmp(r->packet, COMMAND) != 0)
        return false;
    if (!may_upgrade(t, r->connection))
        refusal = "the server was started by root: only root may replace its program";
    else if (t->state != TAKEOVER_NONE)
        refusal = "the server is just reading its options, or being replaced: try again";
    else if (t->server->is_copy)
        refusal = "the file system of the registry is mounted read-only: restart the server";
    if (refusal == NULL) {
        t->program = fcntl(r->fds[0], F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        t->caller = fcntl(r->connection, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        log_line(LOG_INFO, "another program is to take over", NULL);
        begin_check(t);
    }
    control_door_done(r, refusal);
    return true;
}

bool
takeover_has_ended(struct takeover *t)
{
    bool ended = t->ended;

    t->ended = false;
    if (ended && t->again)
        return !takeover_reload(t);
    return ended;
}

/* ---- the last step ---- */

void
takeover_exec(struct takeover *t, struct handover *h)
{
    const struct server *s = t->server;
    const struct options *o = s->options;
    struct err err;

    handover_put(h, CALLER, t->caller, "");
    fflush(stdout);
    privileges_use(&s->who, PRIVILEGES_READ);
    if (fchdir(s->startdir) != 0) {
        err_errno(&err, "cannot go back to the directory of the start");
    } else {
        privileges_pass(&s->who, true);
        (void)handover_exec(h, t->program, o->argv, &err);
        privileges_pass(&s->who, false);
    }
    privileges_use(&s->who, 0);
    if (fchdir(s->dir.fd) != 0)
        log_line(LOG_ERROR, "cannot enter the data directory", "errno=%d", errno);
    end_takeover(t, err.message);
}

void
takeover_done(const struct handover *from)
{
    struct bytes note;
    int caller = handover_get(from, CALLER, 0, &note);

    answer_caller(&caller, COMMAND_DONE, "");
}
