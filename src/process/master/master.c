#include "process/master/master.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/master/children.h"
#include "process/master/control_door.h"
#include "process/master/herald_watch.h"
#include "process/nginx/nginx.h"
#include "process/server/stopped_process.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

/* While something is expected any moment, and otherwise (the watchdog's beat). */
#define QUICK_MS 2
#define STOP_MS 20
#define BEAT_MS 250

enum phase {
    PHASE_STARTING,
    PHASE_SERVING,
    PHASE_STOPPING_NGINX,
    PHASE_STOPPING_CHILDREN,
    PHASE_DONE,
};

struct master {
    struct server *server;
    struct children children;
    struct nginx nginx;
    struct herald_watch herald;
    struct control_door *door;
    struct stopped_process stopped;
    enum phase phase;
    int signals;
    bool failed; /* and err says why */
    struct err err;
};

/* ---- phases ---- */

static void
stop_all(struct master *m, bool hurry, uint64_t now)
{
    if (m->phase < PHASE_STOPPING_NGINX) {
        log_line(LOG_INFO, "stopping", NULL);
        m->phase = PHASE_STOPPING_NGINX;
        server_close_ports(m->server);
        nginx_stop(&m->nginx, hurry, now);
        herald_watch_stop(&m->herald, hurry, now);
    } else if (m->phase == PHASE_STOPPING_NGINX && hurry) {
        nginx_stop(&m->nginx, true, now);
        herald_watch_stop(&m->herald, true, now);
    } else if (m->phase == PHASE_STOPPING_CHILDREN && hurry) {
        herald_watch_stop(&m->herald, true, now);
        children_hurry(&m->children, now);
    }
}

/* Ends everything because of m->err. The first reason counts. */
static void
give_up(struct master *m, uint64_t now)
{
    m->failed = true;
    stop_all(m, true, now);
}

static bool
told_already(const struct listeners *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (l->v[k].port == l->v[i].port)
            return true;
    return false;
}

static void
announce(struct master *m)
{
    const struct listeners *l = &m->server->listeners;
    const struct options *o = m->server->options;
    if (o->fastcgi != NULL)
        printf("Server is listening on %s/%s\n", o->fastcgi, pools[POOL_API].socket);
    for (size_t i = 0; i < l->n; i++)
        if (!told_already(l, i))
            printf("Server is listening on port %u\n", l->v[i].port);
    fflush(stdout);
    if (o->trust_remote_user)
        log_line(LOG_INFO, "users are those of the web server in front", NULL);
    else if (!m->server->users.closed)
        log_line(LOG_WARN,
                 "there are no users: everybody may push and pull; --user NAME:PASS or "
                 "auth/htpasswd changes that",
                 NULL);
    else if (m->server->users.users == 0)
        log_line(LOG_WARN, "auth/htpasswd names nobody: nobody may push or pull", NULL);
    m->phase = PHASE_SERVING;
}

static void
check_broken(struct master *m, uint64_t now)
{
    if (m->failed || m->phase >= PHASE_STOPPING_NGINX)
        return;
    if (m->children.state == CHILDREN_BROKEN) {
        children_error(&m->children, &m->err);
        give_up(m, now);
    } else if (m->nginx.state == NGINX_BROKEN) {
        err_set(&m->err, ERR_SYSTEM, "%s", m->nginx.message);
        give_up(m, now);
    }
}

static void
step_phase(struct master *m, uint64_t now)
{
    children_tick(&m->children, now);
    herald_watch_tick(&m->herald, now);
    nginx_tick(&m->nginx, now);
    stopped_process_wake(&m->stopped, m->server->dir.fd, m->server->options->watchdog_ms, now);
    check_broken(m, now);
    switch (m->phase) {
    case PHASE_STARTING:
        if (m->nginx.state == NGINX_OFF && children_may_be_asked(&m->children) &&
            nginx_start(&m->nginx, now, &m->err) < 0)
            give_up(m, now);
        else if (m->nginx.state == NGINX_UP && children_ready(&m->children))
            announce(m);
        break;
    case PHASE_STOPPING_NGINX:
        /* Hooks that are still running may tell the keeper how they ended. With --fastcgi the
         * requests in the workers need that time. */
        if (m->nginx.state == NGINX_GONE &&
            (herald_watch_is_gone(&m->herald) || m->server->options->fastcgi != NULL)) {
            m->phase = PHASE_STOPPING_CHILDREN;
            children_stop(&m->children, now);
        }
        break;
    case PHASE_STOPPING_CHILDREN:
        if (children_gone(&m->children) && herald_watch_is_gone(&m->herald))
            m->phase = PHASE_DONE;
        break;
    case PHASE_SERVING:
        server_watch(m->server);
        break;
    default:
        break;
    }
}

/* Whoever asks for a command gets a child for it. */
static void
serve_commands(struct master *m, uint64_t now)
{
    struct control_door_request *r;
    if (m->phase >= PHASE_STOPPING_NGINX) {
        control_door_close(m->door);
        return;
    }
    control_door_accept(m->door, now);
    while ((r = control_door_ready(m->door)) != NULL && children_lend(&m->children, r, now))
        control_door_done(r, NULL);
}

/* ---- events ---- */

static void
reap_dead(struct master *m, uint64_t now)
{
    int status;
    pid_t pid;
    while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
        if (!children_died(&m->children, pid, status, now) &&
            !herald_watch_died(&m->herald, pid, status, now))
            nginx_died(&m->nginx, pid, status, now); /* else somebody's orphan: reaped is enough */
}

static void
handle_master_signals(struct master *m, uint64_t now)
{
    struct signalfd_siginfo info;
    while (read(m->signals, &info, sizeof info) == (ssize_t)sizeof info) {
        switch (info.ssi_signo) {
        case SIGTERM:
        case SIGINT:
            stop_all(m, m->phase >= PHASE_STOPPING_NGINX, now);
            break;
        case SIGHUP:
            if (m->phase < PHASE_STOPPING_NGINX) {
                log_line(LOG_INFO, "reading certificates and users anew", NULL);
                server_reload(m->server);
                nginx_reload(&m->nginx);
                herald_watch_reload(&m->herald);
            }
            break;
        default:
            break;
        }
    }
    reap_dead(m, now);
}

static int
master_timeout(const struct master *m)
{
    if (m->phase >= PHASE_STOPPING_NGINX)
        return STOP_MS;
    if (m->phase == PHASE_STARTING || m->nginx.state == NGINX_STARTING)
        return QUICK_MS;
    return BEAT_MS;
}

static int
loop(struct master *m)
{
    while (m->phase != PHASE_DONE) {
        struct pollfd fds[2 + CONTROL_DOOR_MAX + 1] = {
            {.fd = m->signals, .events = POLLIN},
            {.fd = m->nginx.log.fd, .events = POLLIN}, /* ignored while it is -1 */
        };
        control_door_poll(m->door, fds + 2);
        if (poll(fds, 2 + CONTROL_DOOR_MAX + 1, master_timeout(m)) < 0 && errno != EINTR) {
            if (!m->failed)
                err_errno(&m->err, "poll");
            return -1;
        }
        uint64_t now = clock_mono_ms();
        if (fds[1].revents != 0)
            nginx_log_read(&m->nginx.log, now);
        if (fds[0].revents != 0)
            handle_master_signals(m, now);
        step_phase(m, now);
        serve_commands(m, now);
    }
    return m->failed ? -1 : 0;
}

/* ---- the whole ---- */

static int
block_master_signals(struct master *m, struct err *err)
{
    static const int caught[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction normal = {.sa_handler = SIG_DFL};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof caught / sizeof *caught; i++) {
        sigaddset(&set, caught[i]);
        sigaction(caught[i], &normal, NULL); /* nohup and shells may have had them ignored */
    }
    sigaction(SIGPIPE, &ignore, NULL);
    sigprocmask(SIG_SETMASK, &set, NULL);
    m->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (m->signals < 0)
        return err_errno(err, "cannot catch signals");
    /* What a dead nginx leaves behind becomes our child, so that it can be killed and reaped. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return 0;
}

int
master_run(struct server *s, struct err *err)
{
    struct control_door door; /* some hundred KiB: what was asked for, until it is served */
    struct master m = {.server = s, .signals = -1, .door = &door};
    int r = -1;
    control_door_open(&door, s->extra[SERVER_CONTROL]);
    if (block_master_signals(&m, err) < 0 || nginx_init(&m.nginx, s, err) < 0 ||
        children_init(&m.children, s, err) < 0)
        goto done;
    herald_watch_init(&m.herald, s, clock_mono_ms());
    children_start(&m.children, clock_mono_ms());
    if (nginx_configure(&m.nginx, &m.err) < 0)
        give_up(&m, clock_mono_ms());
    r = loop(&m);
    if (r < 0)
        *err = m.err;
    nginx_free(&m.nginx);
    children_free(&m.children);
done:
    fdio_close(m.signals);
    return r;
}
