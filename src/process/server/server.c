#include "process/server/server.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/htpasswd.h"
#include "domain/retention/retain_round.h"
#include "process/options/absolute_path.h"
#include "process/options/options_change.h"
#include "process/server/given_users.h"
#include "process/server/hook_files.h"
#include "process/server/node_key.h"
#include "process/server/open_files.h"
#include "process/server/readonly_dir.h"
#include "process/server/runfile.h"
#include "process/server/socket_dir.h"
#include "process/server/stray_nginx.h"
#include "process/server/ui_files.h"
#include "process/server/unix_socket.h"
#include "storage/files/body_dir.h"
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"

#define PID_NAME "run/master.pid"
#define DYING_MS 2000
#define DAY_MS (24 * UINT64_C(3600000))
/* Connections that may wait at a socket with few callers: the keeper, commands. */
#define PACKETS_BACKLOG 16
/* Names of what is handed over, besides sockets. */
#define ROOT "root"
#define DIRECTORY "dir"
#define LOCK "lock"
#define USERS "users"
#define EXCHANGE_GIVE "exchange-give"
#define EXCHANGE_TAKE "exchange-take"

/* Hashes the passwords of --user, and forgets them. */
static int
take_users(struct server *s, struct err *err)
{
    struct bytes known = {NULL, 0};
    int r;

    if (s->from != NULL)
        (void)handover_get_text(s->from, USERS, 0, &known);
    buf_init(&s->given, HTPASSWD_MAX);
    r = given_users_hash(s->options, &s->token_keys, known, &s->given, err);
    options_forget_users(s->options);
    return r;
}

static int
read_users(struct server *s, struct err *err)
{
    fdio_look(s->dir.fd, HTPASSWD_OURS, &s->users_file);
    return htpasswd_install(s->dir.fd, buf_bytes(&s->given), clock_wall_ms() / 1000, &s->users,
                            err);
}

/* nginx asks for passwords if there is a password file: with rules there is one, even if nobody can
 * log in. */
static int
close_to_strangers(const struct server *s, struct err *err)
{
    if (!s->access.has_rules || s->users.closed)
        return 0;
    return fdio_replace_file(s->dir.fd, HTPASSWD_RUN, 0600, bytes_of("", 0), err);
}

static int
read_access(struct server *s, struct err *err)
{
    if (access_source_read(&s->access, s->dir.fd, s->users.closed, err) < 0)
        return -1;
    return close_to_strangers(s, err);
}

static int
read_retention(struct server *s, struct err *err)
{
    int rc = retain_source_install(&s->retain, s->dir.fd, err);

    s->bad_rules = rc != 0 && err->code != ERR_SYSTEM;
    return rc;
}

static void
look_for_prehooks(struct server *s)
{
    s->asked = hook_files_look(&s->hooks, s->dir.fd, s->asked);
    s->gate = s->gate || s->asked;
}

/* SIGHUP, and the start. */
static void
read_hooks(struct server *s)
{
    struct err err;

    if (hook_files_check(s->options->hooks, s->who.user, &err) < 0)
        log_line(LOG_WARN, "the directory of hooks can't be used", "why=%s", err.message);
    hook_forget(&s->hooks);
    look_for_prehooks(s);
}

static const char *
sockets_directory(const struct server *s)
{
    return s->options->fastcgi != NULL ? s->options->sockets : "run/";
}

/* The name of a socket that isn't a pool's, relative to the data directory or full. */
static void
name_extra(const struct server *s, enum server_extra which, char *path, size_t n)
{
    if (which == SERVER_HERALD)
        snprintf(path, n, "%s%s", sockets_directory(s), SERVER_HERALD_NAME);
    else
        snprintf(path, n, "%s", which == SERVER_FEED ? SERVER_FEED_NAME : SERVER_CONTROL_NAME);
}

/* The socket with that path: a new one, or that of the server before. */
static int
open_socket(const struct server *s, const char *path, int type, int backlog, struct err *err)
{
    struct bytes note;
    int fd = s->from != NULL ? handover_get(s->from, path, 0, &note) : -1;

    if (fd >= 0)
        return fd;
    if (s->from != NULL)
        unlinkat(s->dir.fd, path, 0);
    return unix_socket_listen(path, type | SOCK_NONBLOCK, backlog, err);
}

static int
open_extra(struct server *s, struct err *err)
{
    const struct options *o = s->options;
    uint64_t workers;
    struct bytes note;

    if (o->fastcgi != NULL && s->from == NULL &&
        socket_dir_clear(o->sockets, SERVER_HERALD_NAME, &s->who, err) < 0)
        return -1;
    for (int i = 0; i < SERVER_EXTRA_COUNT; i++) {
        char path[128];
        name_extra(s, (enum server_extra)i, path, sizeof path);
        s->extra[i] = i == SERVER_HERALD
                          ? open_socket(s, path, SOCK_STREAM, LISTENER_BACKLOG, err)
                          : open_socket(s, path, SOCK_SEQPACKET, PACKETS_BACKLOG, err);
        if (s->extra[i] < 0)
            return -1;
    }
    /* Half of the workers may wait for indexes. The others answer requests whose indexes are
     * there. */
    workers = pool_workers(POOL_BROWSE, s->options);
    if (semaphore_make(&s->index_seats, workers > 1 ? (unsigned)(workers / 2) : 1, err) < 0)
        return -1;
    if (login_cache_make(&s->login_cache, err) != 0 || body_ahead_make(&s->body_ahead, err) != 0 ||
        pull_memory_make(&s->pulls, err) != 0 || repository_sizes_make(&s->sizes, err) != 0 ||
        fd_exchange_make(&s->exchange, (unsigned)pool_workers(POOL_API, s->options), err) != 0)
        return -1;
    if (s->from != NULL) /* connections that nginx keeps may wait in it */
        fd_exchange_adopt(&s->exchange, handover_get(s->from, EXCHANGE_GIVE, 0, &note),
                          handover_get(s->from, EXCHANGE_TAKE, 0, &note));
    s->poke = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return s->poke >= 0 ? 0 : err_errno(err, "cannot make an eventfd");
}

static int
make_metrics(struct server *s, struct err *err)
{
    uint64_t places = 2 + SERVER_COMMANDS_MAX; /* the master, the keeper */
    for (int i = 0; i < POOL_COUNT; i++)
        places += pool_workers((enum pool_id)i, s->options);
    return metrics_make(&s->metrics, (unsigned)places, err);
}

static int
open_sockets(struct server *s, struct err *err)
{
    const struct options *o = s->options;

    if (make_metrics(s, err) != 0)
        return -1;
    for (size_t i = 0; i < POOL_COUNT; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", sockets_directory(s), pools[i].socket);
        if (o->fastcgi != NULL && s->from == NULL &&
            socket_dir_clear(o->sockets, pools[i].socket, &s->who, err) < 0)
            return -1;
        s->sockets[i] = open_socket(s, path, SOCK_STREAM, LISTENER_BACKLOG, err);
        if (s->sockets[i] < 0)
            return -1;
        metrics_set_socket(&s->metrics, (unsigned)i, s->sockets[i]);
        if (pools[i].patience_ms > 0 &&
            share_make(&s->shares[i], (unsigned)pool_workers((enum pool_id)i, o),
                       pools[i].patience_ms, err) != 0)
            return -1;
    }
    if (open_extra(s, err) < 0)
        return -1;
    return o->fastcgi != NULL ? socket_dir_reach(s->full_dir, &s->who, err) : 0;
}

static void
close_extra(struct server *s, enum server_extra which)
{
    char path[128];
    name_extra(s, which, path, sizeof path);
    if (s->extra[which] >= 0)
        unlinkat(s->dir.fd, path, 0);
    fdio_close(s->extra[which]);
    s->extra[which] = -1;
}

static void
close_sockets(struct server *s)
{
    for (size_t i = 0; i < POOL_COUNT; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s%s", sockets_directory(s), pools[i].socket);
        if (s->sockets[i] >= 0) /* otherwise it may belong to another program */
            unlinkat(s->dir.fd, path, 0);
        fdio_close(s->sockets[i]);
        s->sockets[i] = -1;
        share_close(&s->shares[i]);
    }
    for (int i = 0; i < SERVER_EXTRA_COUNT; i++)
        close_extra(s, (enum server_extra)i);
    semaphore_close(&s->index_seats);
    login_cache_close(&s->login_cache);
    metrics_close(&s->metrics);
    fd_exchange_close(&s->exchange);
    body_ahead_close(&s->body_ahead);
    pull_memory_close(&s->pulls);
    repository_sizes_close(&s->sizes);
    fdio_close(s->poke);
    s->poke = -1;
}

/* A killed server leaves its pid file, and perhaps processes that are about to end. For a moment
 * those hold our ports, and have neither a name nor a directory that identifies them. */
static int
open_ports(struct server *s, struct err *err)
{
    bool killed = faccessat(s->dir.fd, PID_NAME, F_OK, 0) == 0;
    uint64_t until = clock_mono_ms() + (killed ? DYING_MS : 0);
    int r;
    while ((r = listeners_open(&s->listeners, s->options, err)) < 0 && err->sys == EADDRINUSE &&
           clock_mono_ms() < until) {
        clock_sleep_ms(10);
        stray_nginx_kill(s->dir.fd);
    }
    return r;
}

/* The server before has the directory open, and holds the lock. */
static int
take_open_directory(struct server *s, struct err *err)
{
    struct bytes note;

    s->dir = (struct datadir){.name = s->options->dir,
                              .fd = handover_get(s->from, DIRECTORY, 0, &note),
                              .lock = handover_get(s->from, LOCK, 0, &note)};
    s->read_only = s->options->read_only;
    if (s->dir.fd < 0 || s->dir.lock < 0)
        return err_set(err, ERR_SYSTEM, "the server before has handed over no directory");
    return fchdir(s->dir.fd) == 0 ? 0 : err_errno(err, "cannot enter directory %s", s->dir.name);
}

static int
find_or_make_directory(struct server *s, struct err *err)
{
    struct options *o = s->options;
    struct err ignored;

    if (s->from != NULL)
        return take_open_directory(s, err);
    s->is_copy = datadir_find(&s->dir, o->dir, &s->who, &ignored) == 0 && readonly_dir_is(&s->dir);
    s->read_only = o->read_only || s->is_copy;
    if (s->is_copy && o->fastcgi != NULL)
        return err_set(err, ERR_SYSTEM,
                       "%s is on a file system that is mounted read-only, and --fastcgi needs to "
                       "write there: mount it for writing, or leave out --fastcgi",
                       o->dir);
    if (s->is_copy)
        return 0;
    fdio_close(s->dir.fd);
    if (fchdir(s->startdir) < 0)
        return err_errno(err, "cannot go back to the directory of the start");
    return datadir_make(&s->dir, o->dir, &s->who, err);
}

/* Was the server before started as root? */
static bool
is_second_root(const struct server *s)
{
    struct bytes note;

    return s->from != NULL && handover_get_text(s->from, ROOT, 0, &note);
}

/* The steps that need root, if it is root: the directory, the key, the web page. */
static int
prepare_as_started(struct server *s, struct tls_files *tls, struct ui_files *ui, struct err *err)
{
    struct options *o = s->options;
    s->startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (s->startdir < 0)
        return err_errno(err, "cannot open the current directory");
    if (o->fastcgi != NULL && (s->full_dir = absolute_path(o->dir, err)) == NULL)
        return -1;
    if ((is_second_root(s) ? privileges_plan_again : privileges_plan)(&s->who, o->run_as, err) < 0)
        return -1;
    if (tls_files_wanted(o) && tls_files_read(tls, s->startdir, o, err) < 0)
        return -1;
    if (!o->no_ui && o->fastcgi == NULL)
        ui_files_prepare(ui);
    if (find_or_make_directory(s, err) < 0)
        return -1;
    return o->fastcgi != NULL && s->from == NULL ? socket_dir_open(o->sockets, &s->who, err) : 0;
}

/* Takes the lock, and then the ports. Nothing in run/ is ours before. */
static int
take_directory(struct server *s, struct err *err)
{
    bool own_nginx = s->options->fastcgi == NULL;
    int rc;

    if ((s->is_copy && readonly_dir_open(&s->dir, &s->who, &s->original, err) < 0) ||
        datadir_open(&s->dir, &s->who, err) < 0 ||
        blob_store_open(&s->blobs, s->dir.fd, s->options->blobs, s->read_only, err) < 0)
        return -1;
    s->blobs.cache_bytes = s->options->cache_size / 2;
    if (s->from != NULL) {
        listeners_take(&s->listeners, s->options, s->from);
        return 0;
    }
    /* The nginx workers of a killed server may still hold our ports. They are shielded. */
    privileges_use(&s->who, PRIVILEGES_BIND | PRIVILEGES_SHIELDS);
    stray_nginx_kill(s->dir.fd);
    rc = own_nginx ? open_ports(s, err) : 0;
    if (privileges_keep(&s->who, PRIVILEGES_READ | (own_nginx ? privileges_shield(&s->who) : 0)) <
        0)
        return err_errno(err, "cannot give up the right to open ports");
    return rc;
}

static int
prepare_as_user(struct server *s, const struct tls_files *tls, const struct ui_files *ui,
                struct err *err)
{
    if (hook_files_check(s->options->hooks, s->who.user, err) < 0 ||
        (s->from == NULL && datadir_begin(&s->dir, &s->who, err) < 0) ||
        runfile_write_pid(s->dir.fd, PID_NAME, err) < 0 || open_sockets(s, err) < 0)
        return -1;
    if (tls_files_wanted(s->options) && tls_files_install(tls, s->dir.fd, err) < 0)
        return -1;
    if (ui_files_install(ui, s->dir.fd, err) < 0)
        return -1;
    s->has_ui = ui->n > 0;
    s->certificate = tls->span;
    if (node_key_open(&s->token_keys, s->dir.fd, s->options->database, err) < 0 ||
        take_users(s, err) < 0)
        return -1;
    server_hooks(s, &s->hooks);
    if (s->from == NULL)
        unlinkat(s->dir.fd, HOOK_FILES_ASKED, 0);
    s->asked = s->from != NULL && faccessat(s->dir.fd, HOOK_FILES_ASKED, F_OK, 0) == 0;
    s->gate = s->asked;
    read_hooks(s);
    access_source_init(&s->access, s->options, s->startdir, s->dir.fd);
    s->retain = retain_source_of(s->options, s->startdir, s->dir.fd);
    if (read_users(s, err) < 0 || read_access(s, err) < 0)
        return -1;
    return read_retention(s, err);
}

/* Rights that the server may need later: for a renewed key, or a changed configuration. */
static unsigned
rights_to_keep(const struct options *o)
{
    return PRIVILEGES_BIND | PRIVILEGES_SHIELDS |
           (tls_files_wanted(o) || o->config != NULL ? PRIVILEGES_READ : 0);
}

int
server_prepare(struct server *s, struct options *o, const struct handover *from, struct err *err)
{
    struct tls_files tls = {.span = {0}};
    struct ui_files ui = {.n = 0};
    int r;

    *s = (struct server){.options = o,
                         .from = from,
                         .started_ms = clock_mono_ms(),
                         .startdir = -1,
                         .original = -1,
                         .bodies_good = true,
                         .dir = {.fd = -1, .lock = -1},
                         .blobs = {.outside = -1},
                         .poke = -1,
                         .index_seats = {.fd = -1},
                         .exchange = {.give = -1, .take = -1}};
    for (size_t i = 0; i < SERVER_EXTRA_COUNT; i++)
        s->extra[i] = -1;
    for (size_t i = 0; i < POOL_COUNT; i++)
        s->sockets[i] = -1;
    disk_space_keep(o->min_free);
    r = open_files_want(err);
    if (r == 0)
        r = prepare_as_started(s, &tls, &ui, err);
    umask(0027); /* the directories above the data directory have the caller's */
    if (r == 0)
        r = (is_second_root(s) ? privileges_drop_again : privileges_drop)(&s->who,
                                                                          rights_to_keep(o), err);
    if (r == 0)
        r = take_directory(s, err);
    if (r == 0 && (r = prepare_as_user(s, &tls, &ui, err)) < 0)
        server_finish(s);
    tls_files_free(&tls);
    ui_files_free(&ui);
    if (r < 0) {
        free(s->full_dir);
        s->full_dir = NULL;
    }
    return r;
}

static void
reload_tls(struct server *s, struct err *err)
{
    struct tls_files tls;
    int r;

    if (!tls_files_wanted(s->options))
        return;
    privileges_use(&s->who, PRIVILEGES_READ);
    r = tls_files_read(&tls, s->startdir, s->options, err);
    privileges_use(&s->who, 0);
    if (r == 0) {
        r = tls_files_install(&tls, s->dir.fd, err);
        s->certificate = tls.span;
        s->certificate_at = 0;
        tls_files_free(&tls);
    }
    if (r < 0)
        log_line(LOG_ERROR, "certificate and key stay as they were", "why=%s", err->message);
}

void
server_warn_of_users(const struct server *s)
{
    if (s->options->trust_remote_user)
        return;
    if (s->access.has_rules && !s->users.closed)
        log_line(LOG_WARN,
                 "there are access rules, but no users: nobody can log in; user add makes one",
                 NULL);
    else if (!s->users.closed)
        log_line(LOG_WARN,
                 "there are no users: everybody may push and pull; --user NAME:PASS or "
                 "auth/htpasswd changes that",
                 NULL);
    else if (s->users.users == 0)
        log_line(LOG_WARN, "auth/htpasswd has no users: nobody may push or pull", NULL);
}

/* Warns if the reason for it is new. */
static void
warn_of_users_again(const struct server *s, const struct htpasswd_state *was)
{
    if (was->closed != s->users.closed || (was->users > 0) != (s->users.users > 0))
        server_warn_of_users(s);
}

/* Robots expire in the file that nginx reads, not by reading auth/htpasswd anew: that may be gone,
 * or be just written. */
static void
expire_users(struct server *s)
{
    struct htpasswd_state was = s->users;
    uint64_t now_s = clock_wall_ms() / 1000;
    struct err err;

    if (was.next_expiry_s == 0 || now_s < was.next_expiry_s)
        return;
    if (htpasswd_expire(s->dir.fd, now_s, &s->users, &err) < 0 ||
        access_source_write(&s->access, s->dir.fd, s->users.closed, &err) < 0)
        log_line(LOG_ERROR, "robots that have expired can still log in", "why=%s", err.message);
    else
        log_line(LOG_INFO, "robots have expired", "users=%zu expired=%zu", s->users.users,
                 s->users.expired);
    warn_of_users_again(s, &was);
}

/* What is read anew goes into run/access in one step. Rules that are wrong keep no change of users
 * back. */
static void
reload_access(struct server *s, bool users, bool rules)
{
    struct htpasswd_state was = s->users;
    struct err err;

    if (users && read_users(s, &err) < 0) {
        log_line(LOG_ERROR, "users stay as they were", "why=%s", err.message);
        users = false;
    }
    if (rules && read_access(s, &err) < 0) {
        log_line(LOG_ERROR, "access rules stay as they were", "why=%s", err.message);
        rules = false;
    }
    if (users && !rules &&
        (close_to_strangers(s, &err) < 0 ||
         access_source_write(&s->access, s->dir.fd, s->users.closed, &err) < 0))
        log_line(LOG_ERROR, "users stay as they were", "why=%s", err.message);
    else if (users)
        log_line(LOG_INFO, "users read again", "users=%zu expired=%zu", s->users.users,
                 s->users.expired);
    if (rules)
        log_line(LOG_INFO, "access rules read again", "rules=%s",
                 s->access.has_rules ? s->access.rules_name : "none");
    warn_of_users_again(s, &was);
}

static void
reload_retention(struct server *s, struct err *err)
{
    size_t before = s->retain.rules;

    if (read_retention(s, err) != 0)
        log_line(LOG_ERROR, "rules of retention stay as they were", "why=%s", err->message);
    else if (before + s->retain.rules > 0)
        log_line(LOG_INFO, "rules of retention read again", "rules=%zu", s->retain.rules);
}

void
server_reload(struct server *s)
{
    struct err err;

    reload_tls(s, &err);
    read_hooks(s);
    reload_access(s, true, true);
    reload_retention(s, &err);
}

/* Logged once, and once more when it is over. Not outside, where a file server may hang. */
static void
watch_bodies(struct server *s)
{
    struct err err;
    bool good = body_dir_check(s->dir.fd, &err) == 0 &&
                (s->blobs.outside >= 0 || blob_store_check(&s->blobs, &err) == 0);
    if (good == s->bodies_good)
        return;
    s->bodies_good = good;
    if (good)
        log_line(LOG_INFO, "uploads can be taken over from nginx again", NULL);
    else
        log_line(LOG_ERROR, "uploads can't be taken over from nginx", "why=%s", err.message);
}

static void
watch_certificate(struct server *s)
{
    uint64_t now = clock_mono_ms();
    if (!tls_files_wanted(s->options) || now < s->certificate_at)
        return;
    s->certificate_at = now + DAY_MS;
    tls_files_warn(&s->certificate, s->options->tls_cert);
}

void
server_watch(struct server *s)
{
    bool users, rules;

    watch_bodies(s);
    watch_certificate(s);
    look_for_prehooks(s);
    expire_users(s);
    users = fdio_has_changed(s->dir.fd, HTPASSWD_OURS, &s->users_file);
    rules = access_source_changed(&s->access, s->dir.fd);
    if (users || rules)
        reload_access(s, users, rules);
}

void
server_hooks(const struct server *s, struct hooks *h)
{
    const struct options *o = s->options;
    bool changed = s->who.root && s->who.uid != 0;
    *h = (struct hooks){
        .dirfd = s->dir.fd,
        .dir = o->hooks != NULL ? o->hooks : "./hooks",
        .dir_named = o->hooks != NULL,
        .user = changed ? s->who.user : NULL,
        .has_secrets = o->database != NULL || s->blobs.s3 != NULL,
    };
    for (int i = 0; i < HOOK_COUNT; i++)
        h->scripts[i] = o->on[i];
}

void
server_poke(int poke, uint64_t what)
{
    /* After 2^16 pokes that were not read one counts as another, and after 2^32 of the largest the
     * counter overflows: then the keeper is awake anyway. */
    ssize_t ignored = write(poke, &what, sizeof what);
    (void)ignored;
}

uint64_t
server_poked(int poke)
{
    uint64_t what;
    return read(poke, &what, sizeof what) == (ssize_t)sizeof what ? what : 0;
}

void
server_count_restart(const struct server *s, enum metrics_process process, bool planned)
{
    metrics_count(metrics_place_of(&s->metrics, 0), METRIC_RESTARTS,
                  process * METRICS_REASONS + (planned ? METRICS_PLANNED : METRICS_CRASH), 1);
}

void
server_hand_over(const struct server *s, struct handover *h)
{
    struct buf kept;
    char path[128];

    if (s->who.root)
        handover_put_text(h, ROOT, bytes_of("", 0));
    handover_put(h, DIRECTORY, s->dir.fd, "");
    handover_put(h, LOCK, s->dir.lock, "");
    listeners_hand_over(&s->listeners, h);
    for (size_t i = 0; i < POOL_COUNT; i++) {
        snprintf(path, sizeof path, "%s%s", sockets_directory(s), pools[i].socket);
        handover_put(h, path, s->sockets[i], "");
    }
    for (int i = 0; i < SERVER_EXTRA_COUNT; i++) {
        name_extra(s, (enum server_extra)i, path, sizeof path);
        handover_put(h, path, s->extra[i], "");
    }
    handover_put(h, EXCHANGE_GIVE, s->exchange.give, "");
    handover_put(h, EXCHANGE_TAKE, s->exchange.take, "");
    handover_put_text(h, USERS, buf_bytes(&s->given));
    buf_init(&kept, 1u << 20);
    options_change_keep(s->options, &kept);
    handover_put_text(h, HANDOVER_OPTIONS, buf_bytes(&kept));
    buf_free(&kept);
}

void
server_close_ports(struct server *s)
{
    listeners_close(&s->listeners);
    close_extra(s, SERVER_HERALD);
}

void
server_close_feed(struct server *s)
{
    close_extra(s, SERVER_FEED);
}

void
server_finish(struct server *s)
{
    static const char *const gone[] = {"run/htpasswd",   "run/access",     RETAIN_ROUND_RULES,
                                       SERVER_NGINX_PID, "run/nginx.lock", HOOK_FILES_ASKED,
                                       PID_NAME};

    server_close_ports(s);
    close_sockets(s);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++)
        unlinkat(s->dir.fd, gone[i], 0);
    tls_files_remove(s->dir.fd);
    buf_free(&s->given);
    access_source_free(&s->access);
    free(s->full_dir);
    s->full_dir = NULL;
    if (s->is_copy)
        readonly_dir_remove(&s->dir);
    blob_store_close(&s->blobs);
    fdio_close(s->original);
    fdio_close(s->startdir);
    fdio_close(s->dir.fd);
    fdio_close(s->dir.lock);
}
