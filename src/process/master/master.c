#include "process/master/master.h"
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include "process/master/children.h"
#include "process/master/control_door.h"
#include "process/master/herald_watch.h"
#include "process/master/service_manager.h"
#include "process/master/takeover.h"
#include "process/nginx/nginx.h"
#include "process/server/stopped_process.h"
#include "process/server/store_address.h"
#include "storage/kv/kv_backup.h"
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
    PHASE_HANDING_OVER, /* to a program that takes our place */
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
    struct takeover takeover;
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
warn_at_start(const struct server *s)
{
    server_warn_of_users(s);
    if (options_log_is_foreign(s->options))
        log_line(LOG_WARN, OPTIONS_FOREIGN_LOG, NULL);
}

static void
announce_start(struct master *m)
{
    const struct listeners *l = &m->server->listeners;
    const struct options *o = m->server->options;

    m->phase = PHASE_SERVING;
    if (m->server->from != NULL) {
        log_line(LOG_INFO, "this program has taken over", "version=%s", PACKAGE_VERSION);
        takeover_done(m->server->from);
        service_manager_ready(&m->manager);
        warn_at_start(m->server);
        return;
    }
    if (o->fastcgi != NULL)
        printf("Server is listening on %s/%s\n", o->fastcgi, pools[POOL_API].socket);
    for (size_t i = 0; i < l->n; i++)
        if (!is_port_announced(l, i))
            printf("Server is listening on port %u\n", l->v[i].port);
    fflush(stdout);
    service_manager_ready(&m->manager);
    if (o->trust_remote_user)
        log_line(LOG_INFO, "users are those of the web server in front", NULL);
    warn_at_start(m->server);
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

/* ---- handing over ---- */

static void
begin_handing_over(struct master *m)
{
    log_line(LOG_INFO, "handing over", NULL);
    m->phase = PHASE_HANDING_OVER;
    service_manager_reloading(&m->manager);
    herald_watch_stop(&m->herald, false);
    children_drain(&m->children);
}

/* Without a herald, its socket still takes connections. The keeper must not take one for it. */
static void
hang_up_on_keeper(const struct master *m)
{
    int fd;

    while ((fd = accept4(m->server->extra[SERVER_FEED], NULL, NULL, SOCK_CLOEXEC)) >= 0)
        close(fd);
}

static void
hand_over(struct master *m)
{
    struct handover h;

    handover_begin(&h);
    server_hand_over(m->server, &h);
    nginx_hand_over(&m->nginx, &h);
    service_manager_hand_over(&m->manager);
    takeover_exec(&m->takeover, &h);
    /* It has failed. */
    handover_free(&h);
    herald_watch_init(&m->herald, m->server, &m->loop);
    children_start(&m->children);
    m->phase = PHASE_STARTING;
}

static void
tend_takeover(struct master *m)
{
    if (m->phase == PHASE_SERVING && m->takeover.state == TAKEOVER_READY &&
        m->children.state == CHILDREN_SERVING && m->nginx.state == NGINX_UP)
        begin_handing_over(m);
    if (takeover_has_ended(&m->takeover) && m->phase == PHASE_SERVING)
        service_manager_ready(&m->manager);
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
    case PHASE_HANDING_OVER:
        if (herald_gone) {
            hang_up_on_keeper(m);
            children_let_keeper_go(&m->children);
        }
        if (herald_gone && children_gone(&m->children))
            hand_over(m);
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
    } else if (m->phase < PHASE_HANDING_OVER) {
        bool goes_on;

        log_line(LOG_INFO, "reading certificates, users and rules again", NULL);
        service_manager_reloading(&m->manager);
        server_reload(m->server);
        nginx_reload(&m->nginx);
        herald_watch_reload(&m->herald);
        goes_on = m->phase == PHASE_SERVING && takeover_reload(&m->takeover);
        if (m->phase == PHASE_SERVING && !goes_on) /* otherwise the end of the start tells it */
            service_manager_ready(&m->manager);
    }
}

static uint64_t
beat_of(const struct master *m)
{
    if (m->phase >= PHASE_HANDING_OVER)
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
    tend_takeover(m);
    step_phase(m);
    while ((r = control_door_ready(&m->door)) != NULL) {
        if (takeover_request(&m->takeover, r))
            continue;
        if (!children_lend(&m->children, r))
            break;
        control_door_done(r, NULL);
    }
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
    struct err ignored;
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
    takeover_init(&m->takeover, s, &m->loop);
    children_start(&m->children);
    if ((s->from != NULL ? nginx_take(&m->nginx, s->from, &m->err)
                         : nginx_configure(&m->nginx, &m->err)) != 0)
        give_up(m);
    rc = run_master(m);
    if (rc != 0)
        *err = m->err;
    else if (!s->options->read_only)
        (void)kv_backup_note_stop(store_address(s->options),
                                  &ignored); /* if not, a damaged log may cost more */
    takeover_free(&m->takeover);
    nginx_free(&m->nginx);
    children_free(&m->children);
done:
    service_manager_free(&m->manager);
    loop_free(&m->loop);
    free(m);
    return rc;
}
