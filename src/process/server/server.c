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
/* A worker needs forty, and nginx and a worker's kept connections the rest. */
#define OPEN_FILES_MIN 512
#define PRE_HOOKS_NAME "run/pre-hooks"

/* Hashes the passwords of --user, and forgets them. A password must have the same hash at the next
 * start, because tokens depend on it. */
static int
take_users(struct server *s, struct err *err)
{
    struct options *o = s->options;
    int r = 0;
    buf_init(&s->given, HTPASSWD_MAX);
    for (size_t i = 0; r == 0 && i < o->users.n; i++) {
        char *colon = strchr(o->users.v[i], ':');
        uint8_t salt[HTPASSWD_SALT_BYTES];

        if (colon == NULL)
            continue; /* options.c rules this out, but gcc's analyzer doesn't know that */
        *colon = '\0';
        if (token_key_derive(&s->token_keys.now, "salt", o->users.v[i], salt, sizeof salt))
            r = htpasswd_add(&s->given, o->users.v[i], colon + 1, salt, err);
        else
            r = err_set(err, ERR_SYSTEM, "cannot hash the password of %s", o->users.v[i]);
        *colon = ':';
    }
    options_forget_users(o);
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

/* Looks for pre-hooks, and creates or removes the file by which nginx knows that there is one. */
static void
look_for_prehooks(struct server *s)
{
    static const enum hook pre[] = {HOOK_PRE_TAG, HOOK_PRE_DELETE};
    struct err err;
    bool asked = false;
    for (size_t i = 0; i < sizeof pre / sizeof *pre; i++)
        asked = hook_find(&s->hooks, pre[i], &err) != 0 || asked;
    if (asked == s->asked)
        return;
    s->asked = asked;
    s->gate = s->gate || asked;
    if (!asked)
        unlinkat(s->dir.fd, PRE_HOOKS_NAME, 0);
    else if (runfile_write(s->dir.fd, PRE_HOOKS_NAME, bytes_of("", 0), &err) < 0)
        log_line(LOG_ERROR, "pre-hooks get no workers of their own", "why=%s", err.message);
}

/* Can the directory of --hooks be entered? Without one there would be no pre-hook, and nothing
 * would be refused. */
static int
check_hooks(const struct server *s, struct err *err)
{
    char path[PATH_MAX];

    if (s->options->hooks == NULL)
        return 0;
    snprintf(path, sizeof path, "%s/.", s->options->hooks);
    if (faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0)
        return 0;
    return err_set(err, ERR_SYSTEM, "--hooks %s can't be entered by %s: %s (%s)", s->options->hooks,
                   s->who.user, strerror(errno),
                   errno == EACCES ? "let this user in" : "make it, or leave the option out");
}

/* SIGHUP, and the start. */
static void
read_hooks(struct server *s)
{
    struct err err;

    if (check_hooks(s, &err) < 0)
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

static int
open_extra(struct server *s, struct err *err)
{
    const struct options *o = s->options;
    uint64_t workers;

    if (o->fastcgi != NULL && socket_dir_clear(o->sockets, SERVER_HERALD_NAME, &s->who, err) < 0)
        return -1;
    for (int i = 0; i < SERVER_EXTRA_COUNT; i++) {
        char path[128];
        name_extra(s, (enum server_extra)i, path, sizeof path);
        s->extra[i] =
            i == SERVER_HERALD
                ? unix_socket_listen(path, SOCK_STREAM | SOCK_NONBLOCK, LISTENER_BACKLOG, err)
                : unix_socket_listen(path, SOCK_SEQPACKET | SOCK_NONBLOCK, PACKETS_BACKLOG, err);
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
        if (o->fastcgi != NULL && socket_dir_clear(o->sockets, pools[i].socket, &s->who, err) < 0)
            return -1;
        s->sockets[i] =
            unix_socket_listen(path, SOCK_STREAM | SOCK_NONBLOCK, LISTENER_BACKLOG, err);
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

static int
write_pid(const struct server *s, struct err *err)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
    return runfile_write(s->dir.fd, PID_NAME, bytes_of(text, (size_t)n), err);
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

static int
find_or_make_directory(struct server *s, struct err *err)
{
    struct options *o = s->options;
    struct err ignored;

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

/* The web page. Without it everything else works. */
static void
read_page(const struct options *o, struct ui_files *ui)
{
    struct err err;

    if (o->no_ui || o->fastcgi != NULL)
        return;
    ui_files_read(ui, &err);
    if (ui->n == 0)
        log_line(LOG_WARN, "the web page /ui/ is left out, as with --no-ui", "why=%s", err.message);
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
    if (privileges_plan(&s->who, o->run_as, err) < 0)
        return -1;
    if (tls_files_wanted(o) && tls_files_read(tls, s->startdir, o, err) < 0)
        return -1;
    read_page(o, ui);
    if (find_or_make_directory(s, err) < 0)
        return -1;
    return o->fastcgi != NULL ? socket_dir_open(o->sockets, &s->who, err) : 0;
}

/* Takes the lock, and then the ports. Nothing in run/ is ours before. */
static int
take_directory(struct server *s, struct err *err)
{
    bool own_nginx = s->options->fastcgi == NULL;
    int rc;

    if (s->is_copy && readonly_dir_open(&s->dir, &s->who, &s->original, err) < 0)
        return -1;
    if (datadir_open(&s->dir, &s->who, err) < 0)
        return -1;
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
    if (check_hooks(s, err) < 0 || datadir_begin(&s->dir, &s->who, err) < 0 ||
        write_pid(s, err) < 0 || open_sockets(s, err) < 0)
        return -1;
    if (tls_files_wanted(s->options) && tls_files_install(tls, s->dir.fd, err) < 0)
        return -1;
    if (ui_files_install(ui, s->dir.fd, err) < 0)
        return -1;
    s->has_ui = ui->n > 0;
    s->certificate = tls->span;
    if (token_keys_open(&s->token_keys, s->dir.fd, err) < 0 || take_users(s, err) < 0)
        return -1;
    server_hooks(s, &s->hooks);
    unlinkat(s->dir.fd, PRE_HOOKS_NAME, 0);
    read_hooks(s);
    access_source_init(&s->access, s->options, s->startdir, s->dir.fd);
    s->retain = retain_source_of(s->options, s->startdir, s->dir.fd);
    if (read_users(s, err) < 0 || read_access(s, err) < 0)
        return -1;
    return read_retention(s, err);
}

/* With fewer, what fails first would be anything, even a recovery. */
static int
want_open_files(struct err *err)
{
    size_t n = fdio_raise_limit(OPEN_FILES_MIN);

    if (n >= OPEN_FILES_MIN)
        return 0;
    return err_set(
        err, ERR_SYSTEM,
        "only %zu files may be open (ulimit -Hn), and the server needs %d: raise this limit", n,
        OPEN_FILES_MIN);
}

int
server_prepare(struct server *s, struct options *o, struct err *err)
{
    struct tls_files tls = {.span = {0}};
    struct ui_files ui = {.n = 0};
    int r;

    *s = (struct server){.options = o,
                         .started_ms = clock_mono_ms(),
                         .startdir = -1,
                         .original = -1,
                         .bodies_good = true,
                         .dir = {.fd = -1, .lock = -1},
                         .poke = -1,
                         .index_seats = {.fd = -1},
                         .exchange = {.give = -1, .take = -1}};
    for (size_t i = 0; i < SERVER_EXTRA_COUNT; i++)
        s->extra[i] = -1;
    for (size_t i = 0; i < POOL_COUNT; i++)
        s->sockets[i] = -1;
    disk_space_keep(o->min_free);
    r = want_open_files(err);
    if (r == 0)
        r = prepare_as_started(s, &tls, &ui, err);
    umask(0027); /* the directories above the data directory have the caller's */
    if (r == 0)
        r = privileges_drop(&s->who,
                            PRIVILEGES_BIND | PRIVILEGES_SHIELDS |
                                (tls_files_wanted(o) ? PRIVILEGES_READ : 0),
                            err);
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

/* Caused by another nginx, or by a mount. Logged once, and once more when it is over. */
static void
watch_bodies(struct server *s)
{
    struct err err;
    bool good = body_dir_check(s->dir.fd, &err) == 0;
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
    bool changed = s->who.root && s->who.uid != 0; /* the home directory of root is closed to it */
    *h = (struct hooks){
        .dirfd = s->dir.fd,
        .dir = o->hooks != NULL ? o->hooks : "./hooks",
        .dir_named = o->hooks != NULL,
        .home = changed && s->who.home[0] != '\0' ? s->who.home : NULL,
        .user = changed ? s->who.user : NULL,
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
                                       SERVER_NGINX_PID, "run/nginx.lock", PRE_HOOKS_NAME,
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
    fdio_close(s->original);
    fdio_close(s->startdir);
    fdio_close(s->dir.fd);
    fdio_close(s->dir.lock);
}
