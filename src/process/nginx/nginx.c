#include "storage/files/blob_store.h"
#include "process/nginx/nginx.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <limits.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/nginx/nginx_conf.h"
#include "process/nginx/name_servers.h"
#include "process/server/runfile.h"
#include "process/server/stray_nginx.h"
#include "storage/files/disk_space.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/syslog_socket.h"
#include "util/mem.h"
#include "util/parse.h"

#define CONF_NAME "run/nginx.conf"
/* The name of what is handed over: the end of its log, with its pid. */
#define HANDED_LOG "nginx"
#define START_MS 15000
/* Requests that take longer are cut off. After SIGTERM nginx gives its workers a second. */
#define TERM_AFTER_MS 6000
#define KILL_AFTER_MS 7500
/* nginx has as many workers as there are processors, but at least this many: it stores the bodies
 * of uploads in its event loop, so requests wait that come to the same worker as an upload. */
#define WORKERS_MIN 8
/* Each worker's connections, and descriptors, which include files. Connections that send nothing
 * are kept for 10 s: eight thousand of them must leave room for others. */
#define WORKER_CONNECTIONS 2048
#define WORKER_NOFILE 32768
#define CRASH_BURST 10
#define CRASH_REFILL_MS 1000

/* ---- finding it ---- */

bool
nginx_find(char *program, size_t room)
{
    const char *path = getenv("PATH");
    char *dirs = mem_printf("%s:/usr/sbin:/usr/local/sbin", path != NULL ? path : "");
    bool found = false;

    for (const char *p = dirs; !found && *p != '\0';) {
        size_t n = strcspn(p, ":");
        int length = snprintf(program, room, "%.*s/nginx", (int)n, p);
        found =
            length > 0 && (size_t)length < room && *program == '/' && access(program, X_OK) == 0;
        p += n + (p[n] == ':');
    }
    free(dirs);
    return found;
}

static void
on_nginx_log(void *arg)
{
    struct nginx *n = arg;

    nginx_log_read(&n->log);
    loop_fd_set(&n->log_readable, n->log.fd, POLLIN); /* it may be closed */
}

int
nginx_init(struct nginx *n, const struct server *s, struct loop *loop, struct err *err)
{
    *n = (struct nginx){.server = s, .loop = loop};
    nginx_guard_init(&n->guard, loop, &s->who);
    nginx_log_init(&n->log, s->read_only ? -1 : s->dir.fd, metrics_place_of(&s->metrics, 0));
    loop_fd_init(&n->log_readable, loop, on_nginx_log, n);
    start_throttle_init(&n->throttle, CRASH_BURST, CRASH_REFILL_MS, loop_now(loop));
    /* Also with --fastcgi: an existing nginx would see the files of a server before. */
    if (guessers_init(&n->log.guessers, s->dir.fd, s->options->max_wrong_passwords, err) != 0)
        return -1;
    if (s->options->fastcgi != NULL || nginx_find(n->program, sizeof n->program))
        return 0;
    return err_set(err, ERR_SYSTEM,
                   "nginx was not found, neither in PATH nor in /usr/sbin: install the package "
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

static uint64_t
count_workers(void)
{
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    return processors > WORKERS_MIN ? (uint64_t)processors : WORKERS_MIN;
}

/* The file, or syslog, as nginx's directive access_log has it; NULL: off. */
static const char *
name_access_log(char *out, size_t room, const char *option)
{
    if (strcmp(option, "off") == 0)
        return NULL;
    if (strncmp(option, "syslog", 6) != 0)
        return option;
    snprintf(out, room, "syslog:server=unix:%s,nohostname,tag=docker_registry_server",
             option[6] == ':' ? option + 7 : SYSLOG_SOCKET_DEFAULT);
    return out;
}

int
nginx_text(const struct server *s, struct buf *out, struct err *err)
{
    struct listens plain = pick_listens(s, false);
    struct listens tls = pick_listens(s, true);
    char text[PATH_MAX + 80], name_servers[NAME_SERVERS_MAX];
    const char *access_log = name_access_log(text, sizeof text, s->options->access_log);
    struct nginx_conf c = {
        .name = s->options->name,
        .dir = "",
        .blobs = s->blobs.outside >= 0 ? s->options->blobs : "layers",
        .s3 = s->blobs.s3,
        .cache_size = s->options->cache_size / 2,
        .sockets = "run/",
        .htpasswd = "htpasswd",
        .ui = s->has_ui ? "run/ui/" : NULL,
        .version = PACKAGE_VERSION,
        .max_blob_size = s->options->max_blob_size,
        .max_connections_per_address = s->options->max_connections_per_address,
        .has_nodes = s->options->database != NULL,
        .proxies = (const char *const *)s->options->trusted_proxies.v,
        .proxies_n = s->options->trusted_proxies.n,
        .proxy_protocol = s->options->proxy_protocol,
        .cors = (const char *const *)s->options->cors.v,
        .cors_n = s->options->cors.n,
        .access_log = access_log,
        .log_json = s->options->log_json,
        .plain = plain.v,
        .plain_n = plain.n,
        .tls = tls.v,
        .tls_n = tls.n,
        .workers = count_workers(),
        .nofile = WORKER_NOFILE,
        .connections = WORKER_CONNECTIONS,
    };
    struct rlimit limit;

    if (s->blobs.s3 != NULL)
        c.name_servers = name_servers_for(s->blobs.s3->host, NAME_SERVERS_FILE, NAME_SERVERS_HOSTS,
                                          name_servers);
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_max < c.nofile)
        c.nofile = limit.rlim_max;
    if (c.connections > c.nofile)
        c.connections = c.nofile;
    return nginx_conf_standalone(&c, out, err);
}

int
nginx_configure(const struct nginx *n, struct err *err)
{
    const struct server *s = n->server;
    struct buf text;
    int rc;

    if (s->options->fastcgi != NULL)
        return 0;
    buf_init(&text, NGINX_CONF_MAX);
    rc = nginx_text(s, &text, err);
    if (rc == 0)
        rc = runfile_write(s->dir.fd, CONF_NAME, buf_bytes(&text), err);
    buf_free(&text);
    return rc;
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

    privileges_use(&n->server->who, PRIVILEGES_SHIELDS);
    stray_nginx_kill(n->server->dir.fd);
    privileges_use(&n->server->who, 0);
    loop_fd_stop(&n->log_readable);
    nginx_log_close(&n->log);
    if (n->state == NGINX_BROKEN)
        return;
    if (n->state == NGINX_STOPPING) {
        n->state = NGINX_GONE;
        return;
    }
    server_count_restart(n->server, METRICS_NGINX, false);
    log_line(LOG_ERROR, "nginx died", "pid=%d signal=%d exit=%d", (int)pid,
             WIFSIGNALED(status) ? WTERMSIG(status) : 0,
             WIFEXITED(status) ? WEXITSTATUS(status) : -1);
    if (n->was_up)
        restart_later(n);
    else
        fail_start(n, n->log.worst[0] != '\0' ? n->log.worst : "it ended without a message");
}

/* ---- starting ---- */

int
nginx_pass_sockets(const struct server *s)
{
    struct buf list;
    int rc = 0;

    close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
    buf_init(&list, 8192);
    for (size_t i = 0; rc == 0 && i < s->listeners.n; i++) {
        if (s->listeners.v[i].fd < 0)
            continue;
        rc = fcntl(s->listeners.v[i].fd, F_SETFD, 0);
        buf_putf(&list, "%d;", s->listeners.v[i].fd);
    }
    if (rc == 0 && buf_ok(&list))
        rc = list.n > 0 ? setenv("NGINX", buf_text(&list), 1) : unsetenv("NGINX");
    else
        rc = -1;
    buf_free(&list);
    return rc;
}

/* /dev/null for stdin, and for stdout, since a pipe that others read to its end must not wait for
 * nginx; the pipe to the master for stderr. */
static void
set_nginx_stdio(int log)
{
    int nothing = open("/dev/null", O_RDWR);

    dup2(nothing, STDIN_FILENO);
    dup2(nothing, STDOUT_FILENO);
    dup2(log, STDERR_FILENO);
    if (nothing > STDERR_FILENO)
        close(nothing);
}

/* In the child. */
static int
exec_nginx(void *arg, pid_t master)
{
    static const int normal[] = {SIGINT, SIGHUP, SIGQUIT, SIGPIPE, SIGTERM, SIGCHLD, SIGUSR1};
    const struct nginx *n = arg;
    struct sigaction action = {.sa_handler = SIG_DFL};
    /* -e: otherwise it opens the log of the system's nginx first, and complains if it may not. */
    const char *argv[] = {"nginx", "-p", "./", "-c", CONF_NAME, "-e", "stderr", NULL, NULL, NULL};
    sigset_t none;
    int shielded;

    for (size_t i = 0; i < sizeof normal / sizeof *normal; i++)
        sigaction(normal[i], &action, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    /* the terminal's ^C is for the master alone */
    if (n->guard.group == 0 || setpgid(0, n->guard.group) < 0)
        setpgid(0, 0);
    privileges_leave_terminal();
    shielded = privileges_shield_program(&n->server->who);
    if (nginx_pass_sockets(n->server) != 0 || shielded < 0 ||
        prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0) < 0 || getppid() != master)
        _exit(1);
    set_nginx_stdio(n->log_end);
    if (shielded == 0)
        dprintf(STDERR_FILENO,
                "nginx: [warn] other processes of %s can trace nginx: this needs the capability "
                "net_broadcast or net_bind_service\n",
                n->server->who.user);
    if (geteuid() == 0) { /* it shall stay root: otherwise it gives its workers to nobody */
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
    int ends[2], rc;

    if (n->server->options->fastcgi != NULL) {
        n->state = NGINX_UP; /* otherwise it belongs to another program */
        return 0;
    }
    nginx_guard_hold(&n->guard);
    disk_space_give(n->server->dir.fd); /* nginx can't start without writing its pid file */
    unlinkat(n->server->dir.fd, SERVER_NGINX_PID, 0);
    if (pipe2(ends, O_CLOEXEC) < 0)
        return err_errno(err, "cannot make a pipe for nginx");
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    n->log_end = ends[1];
    rc = loop_fork(n->loop, &n->child, exec_nginx, on_nginx_end, n);
    close(ends[1]);
    if (rc != 0) {
        close(ends[0]);
        return err_errno(err, "cannot start nginx");
    }
    nginx_log_close(&n->log);
    nginx_log_open(&n->log, ends[0]);
    loop_fd_set(&n->log_readable, ends[0], POLLIN);
    n->state = NGINX_STARTING;
    n->since_ms = now;
    return 0;
}

/* ---- from one program to the next ---- */

void
nginx_hand_over(const struct nginx *n, struct handover *h)
{
    char pids[64];

    if (n->child.pid == 0)
        return;
    snprintf(pids, sizeof pids, "%ld", (long)n->child.pid);
    handover_put(h, HANDED_LOG, n->log.fd, pids);
    nginx_guard_hand_over(&n->guard, h);
}

/* 1 it has changed, 0, -1. */
static int
change_configuration(const struct nginx *n, struct err *err)
{
    struct buf before, after;
    int rc;

    buf_init(&before, NGINX_CONF_MAX);
    buf_init(&after, NGINX_CONF_MAX);
    rc = fdio_read_file(n->server->dir.fd, CONF_NAME, &before, err) < 0 ||
                 nginx_text(n->server, &after, err) != 0
             ? -1
             : !bytes_equal(buf_bytes(&before), buf_bytes(&after));
    if (rc == 1 && runfile_write(n->server->dir.fd, CONF_NAME, buf_bytes(&after), err) < 0)
        rc = -1;
    buf_free(&before);
    buf_free(&after);
    return rc;
}

int
nginx_take(struct nginx *n, const struct handover *h, struct err *err)
{
    struct bytes pid;
    uint64_t number;
    int fd = handover_get(h, HANDED_LOG, 0, &pid), changed;

    if (n->server->options->fastcgi != NULL)
        return 0;
    if (fd < 0 || !parse_u64(pid.p, pid.n, &number))
        return nginx_configure(n, err);
    nginx_guard_take(&n->guard, h);
    loop_adopt(n->loop, &n->child, (pid_t)number, on_nginx_end, n);
    nginx_log_open(&n->log, fd);
    loop_fd_set(&n->log_readable, fd, POLLIN);
    n->state = NGINX_UP;
    n->was_up = true;
    changed = change_configuration(n, err);
    if (changed > 0 || tls_files_wanted(n->server->options))
        kill(n->child.pid, SIGHUP);
    return changed < 0 ? -1 : 0;
}

/* ---- what is due ---- */

/* nginx writes its pid file when it has read its configuration and has the ports. */
static bool
has_pid_file(const struct nginx *n)
{
    struct buf text;
    struct err ignored;
    uint64_t pid;
    bool there;

    buf_init(&text, 64);
    there = fdio_read_file(n->server->dir.fd, SERVER_NGINX_PID, &text, &ignored) == 1 &&
            parse_u64(buf_text(&text), strcspn(buf_text(&text), "\n"), &pid) &&
            pid == (uint64_t)n->child.pid;
    buf_free(&text);
    return there;
}

static void
stop_nginx_step(struct nginx *n)
{
    uint64_t waited = loop_now(n->loop) - n->since_ms;

    if (waited >= TERM_AFTER_MS && n->stop_step == 0) {
        n->stop_step = 1;
        n->log.cutting_off = true;
        kill(n->child.pid, SIGTERM);
    }
    if (waited >= KILL_AFTER_MS && n->stop_step == 1) {
        n->stop_step = 2;
        log_line(LOG_WARN, "nginx doesn't stop, killing it", "pid=%d", (int)n->child.pid);
        kill(n->child.pid, SIGKILL);
    }
}

void
nginx_tick(struct nginx *n)
{
    uint64_t now = loop_now(n->loop);
    struct err err;

    log_count_client_lines();
    nginx_log_tend(&n->log);
    if (n->child.pid != 0)
        nginx_guard_hold(&n->guard);
    switch (n->state) {
    case NGINX_STARTING:
        if (has_pid_file(n)) {
            n->state = NGINX_UP;
            n->was_up = true;
        } else if (now - n->since_ms > START_MS) {
            fail_start(n, "it isn't ready after 15 s");
            kill(n->child.pid, SIGKILL);
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
    /* The access log is opened anew. */
    if (n->child.pid != 0 && strcmp(n->server->options->access_log, "off") != 0 &&
        n->state == NGINX_UP)
        kill(n->child.pid, SIGUSR1);
    /* It has read nothing else that can change: passwords it reads with each request. */
    if (n->child.pid != 0 && tls_files_wanted(n->server->options) &&
        (n->state == NGINX_UP || n->state == NGINX_STARTING))
        kill(n->child.pid, SIGHUP);
}

void
nginx_stop(struct nginx *n, bool hurry)
{
    uint64_t now = loop_now(n->loop);

    if (n->child.pid == 0) {
        n->state = NGINX_GONE;
        return;
    }
    if (n->state != NGINX_STOPPING) {
        n->state = NGINX_STOPPING;
        n->since_ms = now;
        n->stop_step = 0;
        if (!hurry)
            kill(n->child.pid, SIGQUIT);
    }
    if (hurry && n->stop_step == 0)
        n->since_ms = now - TERM_AFTER_MS; /* so that the next signal is due at once */
    nginx_tick(n);
}

void
nginx_free(struct nginx *n)
{
    nginx_guard_let_go(&n->guard);
}
