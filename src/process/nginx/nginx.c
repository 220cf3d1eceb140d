#include "process/nginx/nginx.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/nginx/nginx_conf.h"
#include "process/server/runfile.h"
#include "process/server/stray_nginx.h"
#include "storage/files/disk_space.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/parse.h"
#include "util/banned.h"

#define CONF_NAME "run/nginx.conf"
#define PID_NAME "run/nginx.pid"
#define START_MS 15000
/* nginx's own limit for open requests is 6 s (conf/), which takes up to 7.5. */
#define TERM_AFTER_MS 7500
#define KILL_AFTER_MS 8000
#define CRASH_BURST 10
#define CRASH_REFILL_MS 1000

/* ---- finding it ---- */

static bool
is_program(const char *dir, size_t dir_n, char *out, size_t n)
{
    int len = snprintf(out, n, "%.*s/nginx", (int)dir_n, dir);
    return len > 0 && (size_t)len < n && *out == '/' && access(out, X_OK) == 0;
}

static void
on_nginx_log(void *arg, int events)
{
    struct nginx *n = arg;

    (void)events;
    nginx_log_read(&n->log, loop_now(n->loop));
    loop_fd_set(&n->log_readable, n->log.fd, POLLIN); /* it may be closed */
}

int
nginx_init(struct nginx *n, const struct server *s, struct loop *loop, struct err *err)
{
    const char *path = getenv("PATH");

    *n = (struct nginx){.server = s, .loop = loop, .log = {.fd = -1}};
    nginx_guard_init(&n->guard, loop);
    loop_fd_init(&n->log_readable, loop, on_nginx_log, n);
    if (s->options->fastcgi != NULL)
        return 0;
    start_throttle_init(&n->throttle, CRASH_BURST, CRASH_REFILL_MS, loop_now(loop));
    for (const char *p = path != NULL ? path : ""; *p != '\0';) {
        size_t len = strcspn(p, ":");
        if (is_program(p, len, n->program, sizeof n->program))
            return 0;
        p += len + (p[len] == ':');
    }
    /* often not in a user's PATH */
    static const char *const more[] = {"/usr/sbin", "/usr/local/sbin"};
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if (is_program(more[i], strlen(more[i]), n->program, sizeof n->program))
            return 0;
    return err_set(err, ERR_SYSTEM,
                   "there is no nginx here, neither in PATH nor in /usr/sbin: install the package "
                   "nginx (or nginx-light)");
}

/* ---- its configuration ---- */

/* More sockets than any options name. */
struct listens {
    const char *v[LISTENERS_MAX];
    size_t n;
};

static struct listens
pick_listens(const struct server *s, bool tls)
{
    struct listens l = {.n = 0};
    for (size_t i = 0; i < s->listeners.n; i++)
        if (s->listeners.v[i].tls == tls)
            l.v[l.n++] = s->listeners.v[i].address;
    return l;
}

int
nginx_configure(const struct nginx *n, struct err *err)
{
    const struct server *s = n->server;
    if (s->options->fastcgi != NULL)
        return 0;
    struct listens plain = pick_listens(s, false);
    struct listens tls = pick_listens(s, true);
    struct nginx_conf c = {
        .name = s->options->name,
        .dir = "",
        .sockets = "run/",
        .htpasswd = "htpasswd",
        .version = PACKAGE_VERSION,
        .max_blob_size = s->options->max_blob_size,
        .cors = (const char *const *)s->options->cors.v,
        .cors_n = s->options->cors.n,
        .plain = plain.v,
        .plain_n = plain.n,
        .tls = tls.v,
        .tls_n = tls.n,
        .nofile = 16384,
        .connections = 4096,
    };
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < c.nofile)
        c.nofile = limit.rlim_max;
    if (c.connections > c.nofile)
        c.connections = c.nofile;

    struct buf text;
    buf_init(&text, NGINX_CONF_MAX);
    int r = nginx_conf_standalone(&c, &text, err);
    if (r == 0)
        r = runfile_write(s->dir.fd, CONF_NAME, buf_bytes(&text), err);
    buf_free(&text);
    return r;
}

/* ---- dying ---- */

static void
fail_start(struct nginx *n, const char *why)
{
    const struct options *o = n->server->options;
    struct err err;
    /* nginx reads only our copies. */
    if (strstr(why, "run/tls.crt") != NULL)
        err_set(&err, ERR_BAD_REQUEST, "--tls-cert %s can't be used: %s", o->tls_cert, why);
    else if (strstr(why, "run/tls.key") != NULL)
        err_set(&err, ERR_BAD_REQUEST, "--tls-key %s can't be used: %s", o->tls_key, why);
    else
        err_set(&err, ERR_SYSTEM, "nginx did not start: %s", why);
    memcpy(n->message, err.message, sizeof n->message);
    n->state = NGINX_BROKEN;
}

static void
restart_later(struct nginx *n)
{
    n->state = NGINX_WAITING;
    n->start_at = start_throttle_next(&n->throttle, "nginx", loop_now(n->loop));
}

static void
on_nginx_end(void *arg, pid_t pid, int status)
{
    struct nginx *n = arg;

    n->pid = 0;
    stray_nginx_kill(n->server->dir.fd);
    loop_fd_stop(&n->log_readable);
    nginx_log_close(&n->log, loop_now(n->loop));
    if (n->state == NGINX_BROKEN)
        return;
    if (n->state == NGINX_STOPPING) {
        n->state = NGINX_GONE;
        return;
    }
    log_line(LOG_ERROR, "nginx died", "pid=%d signal=%d exit=%d", (int)pid,
             WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    if (n->was_up)
        restart_later(n);
    else
        fail_start(n, n->log.worst[0] != '\0' ? n->log.worst : "it died without a word");
}

/* ---- starting ---- */

/* "3;4;": nginx takes these instead of binding. */
static int
hand_over_ports(const struct server *s)
{
    struct buf list;
    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC); /* also what we were started with */
    buf_init(&list, 8192);
    for (size_t i = 0; i < s->listeners.n; i++) {
        int fd = s->listeners.v[i].fd;
        if (fcntl(fd, F_SETFD, 0) < 0)
            return -1;
        buf_putf(&list, "%d;", fd);
    }
    int r = buf_ok(&list) ? setenv("NGINX", buf_text(&list), 1) : -1;
    buf_free(&list);
    return r;
}

/* In the child. */
static void
become_nginx(const struct nginx *n, pid_t master, int log)
{
    static const int normal[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD, SIGUSR1};
    struct sigaction action = {.sa_handler = SIG_DFL};
    for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
        sigaction(normal[i], &action, NULL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* the terminal's ^C is for the master alone */
    if (n->guard.group == 0 || setpgid(0, n->guard.group) < 0)
        setpgid(0, 0);
    if (hand_over_ports(n->server) < 0 || privileges_forget(&n->server->who) < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != master)
        _exit(1);
    int nothing = open("/dev/null", O_RDWR);
    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO); /* the pipe that signals our end must not be held by nginx */
    dup2(log, STDERR_FILENO);
    if (nothing > STDERR_FILENO)
        close(nothing);

    /* -e: otherwise it opens the log of the system's nginx first, and complains if it may not.
     * `user root` only if it shall stay root: otherwise root's nginx gives its workers to
     * nobody. */
    const char *argv[] = {"nginx", "-p", "./", "-c", CONF_NAME, "-e", "stderr", NULL, NULL, NULL};
    if (geteuid() == 0) {
        argv[7] = "-g";
        argv[8] = "user root;";
    }
    execv(n->program, (char *const *)argv);
    dprintf(STDERR_FILENO, "nginx: [emerg] cannot run %s: %s\n", n->program, strerror(errno));
    _exit(1);
}

int
nginx_start(struct nginx *n, struct err *err)
{
    uint64_t now = loop_now(n->loop);
    pid_t master = getpid(), pid;
    int ends[2];

    if (n->server->options->fastcgi != NULL) {
        n->state = NGINX_UP; /* otherwise it belongs to another program */
        return 0;
    }
    nginx_guard_hold(&n->guard, &n->server->who);
    disk_space_give(n->server->dir.fd); /* it can't begin without its pid file */
    unlinkat(n->server->dir.fd, PID_NAME, 0);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe for nginx");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    pid = fork();
    if (pid == 0)
        become_nginx(n, master, ends[1]);
    close(ends[1]);
    if (pid < 0) {
        close(ends[0]);
        return err_errno(err, "cannot start nginx");
    }
    nginx_log_close(&n->log, now);
    nginx_log_open(&n->log, ends[0], now);
    loop_fd_set(&n->log_readable, ends[0], POLLIN);
    loop_child(n->loop, &n->child, pid, on_nginx_end, n);
    n->pid = pid;
    n->state = NGINX_STARTING;
    n->since_ms = now;
    return 0;
}

/* ---- its life ---- */

/* nginx writes its pid file when it has read its configuration and has the ports. */
static bool
has_pid_file(const struct nginx *n)
{
    struct buf text;
    struct err ignored;
    uint64_t pid;
    buf_init(&text, 64);
    bool there = fdio_read_file(n->server->dir.fd, PID_NAME, &text, &ignored) == 1 &&
                 parse_u64(buf_text(&text), strcspn(buf_text(&text), "\n"), &pid) &&
                 pid == (uint64_t)n->pid;
    buf_free(&text);
    return there;
}

static void
stop_nginx_step(struct nginx *n)
{
    uint64_t waited = loop_now(n->loop) - n->since_ms;

    if (waited >= TERM_AFTER_MS && n->stop_step == 0) {
        n->stop_step = 1;
        kill(n->pid, SIGTERM);
    }
    if (waited >= KILL_AFTER_MS && n->stop_step == 1) {
        n->stop_step = 2;
        log_line(LOG_WARN, "nginx doesn't stop, killing it", "pid=%d", (int)n->pid);
        kill(n->pid, SIGKILL);
    }
}

void
nginx_tick(struct nginx *n)
{
    uint64_t now = loop_now(n->loop);
    struct err err;

    if (n->pid != 0)
        nginx_guard_hold(&n->guard, &n->server->who);
    switch (n->state) {
    case NGINX_STARTING:
        if (has_pid_file(n)) {
            n->state = NGINX_UP;
            n->was_up = true;
        } else if (now - n->since_ms > START_MS) {
            fail_start(n, "it isn't ready after 15 s");
            kill(n->pid, SIGKILL);
        }
        break;
    case NGINX_WAITING:
        if (now >= n->start_at && nginx_start(n, &err) != 0) {
            log_line(LOG_ERROR, "nginx can't be started", "why=%s", err.message);
            restart_later(n);
        }
        break;
    case NGINX_STOPPING:
        stop_nginx_step(n);
        break;
    default:
        break;
    }
}

void
nginx_reload(const struct nginx *n)
{
    if (n->pid != 0 && (n->state == NGINX_UP || n->state == NGINX_STARTING))
        kill(n->pid, SIGHUP);
}

void
nginx_stop(struct nginx *n, bool hurry)
{
    uint64_t now = loop_now(n->loop);

    if (n->pid == 0) {
        n->state = NGINX_GONE;
        return;
    }
    if (n->state != NGINX_STOPPING) {
        n->state = NGINX_STOPPING;
        n->since_ms = now;
        n->stop_step = 0;
        if (!hurry)
            kill(n->pid, SIGQUIT);
    }
    if (hurry && n->stop_step == 0)
        n->since_ms = now - TERM_AFTER_MS; /* as if it had been told to stop long ago */
    nginx_tick(n);
}

void
nginx_free(struct nginx *n)
{
    nginx_guard_let_go(&n->guard);
}
