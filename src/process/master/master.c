#include "process/master/master.h"
#include <signal.h>
#include <sys/prctl.h>
#include <unistd.h>
#include "process/master/children.h"
#include "process/master/control_door.h"
#include "process/master/herald_watch.h"
#include "process/master/service_manager.h"
#include "process/nginx/nginx.h"
#include "process/server/stopped_process.h"
#include "util/log.h"
#include "util/loop.h"
#include "util/mem.h"

/* How often the master looks for what is due, and at the slots of its children. */
#define BEAT_STARTING_MS 2
#define BEAT_MS 1000
#define BEAT_STOPPING_MS 20

enum phase {
    PHASE_STARTING,
    PHASE_SERVING,
    PHASE_STOPPING_NGINX,
    PHASE_STOPPING_CHILDREN,
    PHASE_DONE,
};

struct master {
    struct server *server;
    struct loop loop;
    struct loop_timer beat;
    struct children children;
    struct nginx nginx;
    struct herald_watch herald;
    struct control_door door;
    struct stopped_process stopped;
    struct service_manager manager;
    enum phase phase;
    bool failed; /* err says why */
    struct err err;
};

/* ---- phases ---- */

/* Stops nginx and the herald, and then the children. hurry: within 3 s. */
static void
stop_all(struct master *m, bool hurry)
{
    if (m->phase < PHASE_STOPPING_NGINX) {
        log_line(LOG_INFO, "stopping", NULL);
        service_manager_stopping(&m->manager);
        server_close_ports(m->server);
        control_door_close(&m->door);
    }
    if (m->phase < PHASE_STOPPING_NGINX || (m->phase == PHASE_STOPPING_NGINX && hurry))
        nginx_stop(&m->nginx, hurry);
    if (m->phase < PHASE_STOPPING_NGINX || hurry)
        herald_watch_stop(&m->herald, hurry);
    if (m->phase == PHASE_STOPPING_CHILDREN && hurry)
        children_hurry(&m->children);
    if (m->phase < PHASE_STOPPING_NGINX)
        m->phase = PHASE_STOPPING_NGINX;
}

/* Ends everything because of m->err. The first reason counts. */
static void
give_up(struct master *m)
{
    m->failed = true;
    stop_all(m, true);
}

static bool
is_port_announced(const struct listeners *l, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (l->v[k].port == l->v[i].port)
            return true;
    return false;
}

static void
announce_start(struct master *m)
{
    const struct listeners *l = &m->server->listeners;
    const struct options *o = m->server->options;

    m->phase = PHASE_SERVING;
    if (o->fastcgi != NULL)
        printf("Server is listening on %s/%s\n", o->fastcgi, pools[POOL_API].socket);
    for (size_t i = 0; i < l->n; i++)
        if (!is_port_announced(l, i))
            printf("Server is listening on port %u\n", l->v[i].port);
    fflush(stdout);
    service_manager_ready(&m->manager);
    if (o->trust_remote_user)
        log_line(LOG_INFO, "users are those of the web server in front", NULL);
    server_warn_of_users(m->server);
}

static void
check_broken(struct master *m)
{
    if (m->phase >= PHASE_STOPPING_NGINX)
        return;
    if (m->children.state == CHILDREN_BROKEN) {
        children_error(&m->children, &m->err);
        give_up(m);
    } else if (m->nginx.state == NGINX_BROKEN) {
        err_set(&m->err, ERR_SYSTEM, "%s", m->nginx.message);
        give_up(m);
    }
}

static void
step_phase(struct master *m)
{
    bool herald_gone = herald_watch_is_gone(&m->herald);

    if (herald_gone && m->phase >= PHASE_STOPPING_NGINX)
        server_close_feed(m->server);
    switch (m->phase) {
    case PHASE_STARTING:
        /* While the database is being recovered, requests wait as they do later in that case. */
        if (m->nginx.state == NGINX_OFF) {
            if (nginx_start(&m->nginx, &m->err) != 0)
                give_up(m);
        } else if (m->nginx.state == NGINX_UP && children_ready(&m->children)) {
            announce_start(m);
        }
        break;
    case PHASE_SERVING:
        server_watch(m->server);
        break;
    case PHASE_STOPPING_NGINX:
        /* Hooks that still run may tell the keeper how they ended. With --fastcgi the requests in
         * the workers need that time. */
        if (m->nginx.state == NGINX_GONE && (herald_gone || m->server->options->fastcgi != NULL)) {
            m->phase = PHASE_STOPPING_CHILDREN;
            children_stop(&m->children);
        }
        break;
    case PHASE_STOPPING_CHILDREN:
        if (children_gone(&m->children) && herald_gone)
            m->phase = PHASE_DONE;
        break;
    case PHASE_DONE:
        break;
    }
}

/* ---- the loop ---- */

static void
on_master_signal(void *arg, int number)
{
    struct master *m = arg;

    if (number != SIGHUP) {
        stop_all(m, m->phase >= PHASE_STOPPING_NGINX);
    } else if (m->phase < PHASE_STOPPING_NGINX) {
        log_line(LOG_INFO, "reading certificates, users and rules again", NULL);
        service_manager_reloading(&m->manager);
        server_reload(m->server);
        nginx_reload(&m->nginx);
        herald_watch_reload(&m->herald);
        if (m->phase == PHASE_SERVING) /* otherwise the end of the start tells it */
            service_manager_ready(&m->manager);
    }
}

static uint64_t
beat_of(const struct master *m)
{
    if (m->phase >= PHASE_STOPPING_NGINX)
        return BEAT_STOPPING_MS;
    if (m->phase == PHASE_STARTING || m->nginx.state == NGINX_STARTING)
        return BEAT_STARTING_MS;
    return BEAT_MS;
}

/* Without a keeper nothing is collected, and no hook runs. While all processes are being replaced
 * there is none, either, but the master is at work. */
static bool
is_alive(const struct master *m)
{
    return m->children.state != CHILDREN_SERVING || children_keeper(&m->children) != 0;
}

static void
do_what_is_due(struct master *m)
{
    struct control_door_request *r;
    pid_t keeper;

    children_tick(&m->children);
    herald_watch_tick(&m->herald);
    nginx_tick(&m->nginx);
    keeper = children_keeper(&m->children);
    if (keeper != 0)
        stopped_process_wake(&m->stopped, keeper, 0, m->server->options->watchdog_ms,
                             loop_now(&m->loop));
    check_broken(m);
    step_phase(m);
    while ((r = control_door_ready(&m->door)) != NULL && children_lend(&m->children, r))
        control_door_done(r, NULL);
    service_manager_tick(&m->manager, m->phase == PHASE_STARTING, is_alive(m));
}

static int
run_master(struct master *m)
{
    while (m->phase != PHASE_DONE) {
        loop_timer_at(&m->beat, loop_now(&m->loop) + beat_of(m));
        if (loop_wait(&m->loop, &m->err) != 0)
            return -1;
        do_what_is_due(m);
    }
    return m->failed ? -1 : 0;
}

/* ---- the whole ---- */

static int
set_up_signals(struct master *m, struct err *err)
{
    static const int caught[] = {SIGCHLD, SIGTERM, SIGINT, SIGHUP};
    struct sigaction ignore = {.sa_handler = SIG_IGN};

    sigaction(SIGPIPE, &ignore, NULL);
    /* The processes that a dead nginx leaves become children of the master, which can then kill and
     * reap them. */
    prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0);
    return loop_signals(&m->loop, caught, sizeof caught / sizeof *caught, on_master_signal, m, err);
}

int
master_run(struct server *s, struct err *err)
{
    struct master *m = mem_alloc(sizeof *m);
    int rc;

    m->server = s;
    loop_init(&m->loop);
    loop_timer_init(&m->beat, &m->loop, NULL, NULL);
    service_manager_init(&m->manager, &m->loop);
    rc = set_up_signals(m, err);
    if (rc == 0)
        rc = nginx_init(&m->nginx, s, &m->loop, err);
    if (rc == 0)
        rc = children_init(&m->children, s, &m->loop, err);
    if (rc != 0)
        goto done;
    control_door_open(&m->door, &m->loop, s->extra[SERVER_CONTROL]);
    herald_watch_init(&m->herald, s, &m->loop);
    children_start(&m->children);
    if (nginx_configure(&m->nginx, &m->err) != 0)
        give_up(m);
    rc = run_master(m);
    if (rc != 0)
        *err = m->err;
    nginx_free(&m->nginx);
    children_free(&m->children);
done:
    service_manager_free(&m->manager);
    loop_free(&m->loop);
    free(m);
    return rc;
}
