#include "process/commands/command_check.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <pwd.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#include "process/commands/check_nginx.h"
#include "process/server/hook_files.h"
#include "process/server/readonly_dir.h"
#include "process/server/store_address.h"
#include "storage/files/blob_remote.h"
#include "storage/files/disk_space.h"
#include "storage/kv/kv_open.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#define DAY_S INT64_C(86400)
#define SOON_S (30 * DAY_S)
#define CONF_NAME "run/nginx.conf"

/* Everything that a start looks at, by the functions that a start uses, without what they change.
 * A fault doesn't end it: the next things are looked at. */
struct check {
    struct server s; /* filled as far as these functions need it */
    struct tls_files tls;
    bool tls_good;
    bool exists; /* the data directory; otherwise s.dir.fd is that of the scratch directory */
    bool sockets_exist; /* the directory of --fastcgi */
    struct check_nginx_scratch scratch;
    struct buf running; /* nginx's configuration of the server that runs there; else empty */
    struct json *faults, *warnings;
    size_t faults_n;
};

/* ---- what was found ---- */

static void
add_finding(struct json *list, const char *what, const char *message)
{
    struct json *j = json_new_object();

    json_set_string(j, "what", what);
    json_set_string(j, "message", message);
    json_add(list, j);
}

static void
report_start_fault(struct check *c, const char *what, const struct err *err)
{
    c->faults_n++;
    add_finding(c->faults, what, err->message);
    if (!c->s.options->json)
        command_note("%s: %s", what, err->message);
}

static void
report_start_warning(struct check *c, const char *what, const char *fmt, ...)
{
    struct err err;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(err.message, sizeof err.message, fmt, ap);
    va_end(ap);
    add_finding(c->warnings, what, err.message);
    if (!c->s.options->json)
        command_note("warning: %s: %s", what, err.message);
}

/* ---- as the user that started it ---- */

static void
check_certificate(struct check *c)
{
    const struct options *o = c->s.options;
    int64_t now = (int64_t)(clock_wall_ms() / 1000);
    char until[CLOCK_RFC3339_MAX], from[CLOCK_RFC3339_MAX];
    const struct certificate_span *span = &c->tls.span;
    struct err err;

    if (!tls_files_wanted(o))
        return;
    c->tls_good = tls_files_read(&c->tls, c->s.startdir, o, &err) == 0;
    if (!c->tls_good) {
        report_start_fault(c, "certificate", &err);
        return;
    }
    clock_rfc3339(until, span->until > 0 ? (uint64_t)span->until * 1000 : 0);
    clock_rfc3339(from, span->from > 0 ? (uint64_t)span->from * 1000 : 0);
    if (now >= span->until) {
        err_set(&err, ERR_BAD_REQUEST, "--tls-cert %s has expired at %s: renew it", o->tls_cert,
                until);
        report_start_fault(c, "certificate", &err);
    } else if (now < span->from) {
        err_set(&err, ERR_BAD_REQUEST,
                "--tls-cert %s isn't valid before %s: see the clock, or use "
                "the one before",
                o->tls_cert, from);
        report_start_fault(c, "certificate", &err);
    } else if (span->until - now < SOON_S) {
        report_start_warning(c, "certificate", "--tls-cert %s expires at %s: renew it", o->tls_cert,
                             until);
    }
}

static bool
is_missing(int number)
{
    return number == ENOENT || number == ENOTDIR;
}

/* A start makes a directory that is missing, and those above it. */
static int
look_above_directory(const char *name, struct err *err)
{
    char *path = mem_strdup(name);
    char *slash;
    struct stat st;
    int rc = 0;

    while (stat(path, &st) != 0 && is_missing(errno) && (slash = strrchr(path, '/')) != NULL &&
           slash != path)
        *slash = '\0';
    if (stat(path, &st) != 0 && is_missing(errno))
        snprintf(path, strlen(name) + 1, "%s", *name == '/' ? "/" : ".");
    if (stat(path, &st) == 0 && !S_ISDIR(st.st_mode))
        rc = err_set(err, ERR_SYSTEM,
                     "%s can't be made, since %s is no directory: choose another with --dir", name,
                     path);
    else if (faccessat(AT_FDCWD, path, W_OK | X_OK, AT_EACCESS) != 0)
        rc = err_errno(err,
                       "%s can't be made in %s: make it, and give it to the registry's user, or "
                       "choose another with --dir",
                       name, path);
    free(path);
    return rc;
}

static void
find_directory(struct check *c)
{
    const struct options *o = c->s.options;
    struct err err;
    struct stat st;

    c->exists = stat(o->dir, &st) == 0 || !is_missing(errno);
    if (!c->exists) {
        if (look_above_directory(o->dir, &err) != 0)
            report_start_fault(c, "directory", &err);
    } else if (datadir_find(&c->s.dir, o->dir, &c->s.who, &err) != 0 ||
               datadir_look_owners(&c->s.dir, &c->s.who, &err) != 0) {
        report_start_fault(c, "directory", &err);
        c->exists = false;
    }
}

/* A start makes this directory, too, and gives an empty one of root's to the server's user. */
static void
find_sockets(struct check *c)
{
    const struct options *o = c->s.options;
    struct err err;
    struct stat st;

    c->sockets_exist = o->fastcgi != NULL && (stat(o->sockets, &st) == 0 || !is_missing(errno));
    if (o->fastcgi == NULL || c->sockets_exist || look_above_directory(o->fastcgi, &err) == 0)
        return;
    report_start_fault(c, "sockets", &err);
}

/* ---- as the server's user ---- */

static void
check_sockets(struct check *c)
{
    const char *dir = c->s.options->sockets;
    struct err err;
    struct stat st;

    if (!c->sockets_exist || (c->s.who.root && stat(dir, &st) == 0 && st.st_uid == 0) ||
        faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) == 0)
        return;
    err_errno(&err,
              "%s can't create sockets in %s: change its owner, or the modes of the directories "
              "above it",
              c->s.who.user, dir);
    report_start_fault(c, "sockets", &err);
}

static void
check_directory(struct check *c)
{
    const struct options *o = c->s.options;
    struct err err;

    if (!c->exists)
        return;
    if (readonly_dir_is(&c->s.dir)) {
        report_start_warning(
            c, "directory", "%s is on a file system that is mounted read-only: pulls only", o->dir);
        return;
    }
    if (datadir_look(&c->s.dir, &c->s.who, &err) != 0)
        report_start_fault(c, "directory", &err);
    else if (store_address_check(o, c->s.dir.fd, &err) != 0)
        report_start_fault(c, "database", &err);
    disk_space_keep(o->min_free);
    if (!o->read_only && disk_space_check(c->s.dir.fd, 0, &err) != 0)
        report_start_fault(c, "directory", &err);
    if (datadir_is_served(&c->s.dir))
        (void)fdio_read_file(c->s.dir.fd, CONF_NAME, &c->running, &err);
}

/* Nothing is written there. A start makes the tables of a database that has none. */
static void
check_remote_database(struct check *c)
{
    const char *database = c->s.options->database;
    struct err err;
    struct kv *kv;

    if (database == NULL)
        return;
    kv = kv_open(database, tables, TABLE_COUNT, NULL, NULL, &err);
    if (kv == NULL && err.sys != ENOENT)
        report_start_fault(c, "database", &err);
    kv_close(kv);
}

static void
check_blobs(struct check *c)
{
    const struct options *o = c->s.options;
    struct blob_store *blobs = &c->s.blobs;
    struct err err;
    int rc = blob_store_open(blobs, c->s.dir.fd, o->blobs, o->read_only, &err);

    blob_store_hurry(blobs);
    if (rc != 0 ||
        (!o->read_only && blobs->outside >= 0 &&
         (fdio_check_dir(blobs->outside, ".", &err) != 0 ||
          blob_store_check_room(blobs, 0, &err) != 0)) ||
        (blob_remote_is(blobs) && blob_store_ask(blobs, &err) != 0))
        report_start_fault(c, "blobs", &err);
}

/* Can others than root and the server's user change what runs as the latter? */
static int
check_hook_owner(const struct check *c, const char *path, const struct stat *st, struct err *err)
{
    const struct privileges *who = &c->s.who;
    const struct passwd *pw = getpwuid(st->st_uid);

    if (st->st_uid != 0 && st->st_uid != who->uid)
        return err_set(err, ERR_DENIED,
                       "%s belongs to %s, who then decides what runs as %s: chown root it", path,
                       pw != NULL ? pw->pw_name : "a user without a name", who->user);
    if ((st->st_mode & S_IWOTH) != 0 ||
        ((st->st_mode & S_IWGRP) != 0 && st->st_gid != 0 && st->st_gid != who->gid))
        return err_set(err, ERR_DENIED, "%s can be changed by other users: chmod go-w it", path);
    return 0;
}

static void
check_hook_files(struct check *c)
{
    const char *hooks = c->s.options->hooks;
    char path[PATH_MAX];
    struct err err;
    struct stat st;

    server_hooks(&c->s, &c->s.hooks);
    c->s.hooks.quiet = true;
    if (hook_files_check(hooks, c->s.who.user, &err) != 0) {
        report_start_fault(c, "hooks", &err);
        return;
    }
    for (int i = 0; i < HOOK_COUNT; i++) {
        int rc = hook_find(&c->s.hooks, (enum hook)i, &err);
        bool is_file;

        snprintf(path, sizeof path, "%s/%s", c->s.hooks.dir, hook_name((enum hook)i));
        is_file = c->s.hooks.scripts[i] == NULL && fstatat(c->s.dir.fd, path, &st, 0) == 0;
        if (rc == 1 && is_file)
            rc = check_hook_owner(c, path, &st, &err) == 0 ? 1 : -1;
        if (rc < 0 || (rc == 0 && is_file)) /* it isn't executable */
            report_start_fault(c, "hooks", &err);
    }
}

static void
check_rules(struct check *c)
{
    struct access_source access;
    struct retain_source retain;
    struct retain_rules rules;
    struct err err;

    access_source_init(&access, c->s.options, c->s.startdir, c->s.dir.fd);
    if (access_source_check(&access, c->s.dir.fd, &err) != 0)
        report_start_fault(c, "access rules", &err);
    access_source_free(&access);
    retain = retain_source_of(c->s.options, c->s.startdir, c->s.dir.fd);
    if (retain_source_read(&retain, &rules, &err) < 0)
        report_start_fault(c, "rules of retention", &err);
    retain_rules_free(&rules);
}

/* Each line that a start leaves out with a warning, and each that nobody can log in with. */
static void
check_users(struct check *c)
{
    struct buf text;
    struct bytes rest, line, name;
    struct htpasswd_user user;
    bool usable;
    size_t lines = 0, users = 0;
    struct err err;

    buf_init(&text, HTPASSWD_MAX);
    if (command_read(&c->s.dir, &c->s.who, HTPASSWD_OURS, &text, &err) < 0)
        report_start_fault(c, "users", &err);
    for (const char *p = buf_text(&text); *p != '\0'; p += *p == '\n') {
        size_t n = strcspn(p, "\n");

        lines += n > 0 && *p != '#' && strspn(p, " \t\r") < n;
        p += n;
    }
    rest = buf_bytes(&text);
    for (; htpasswd_next(&rest, &line, &name); users++) {
        htpasswd_parse(&user, line);
        password_hash_method(user.hash, &usable);
        if (usable)
            continue;
        err_set(&err, ERR_BAD_REQUEST,
                HTPASSWD_OURS ": the hash of %.*s is of a kind that nginx doesn't know, so this "
                              "user can't log in: user passwd %.*s",
                (int)name.n, (const char *)name.p, (int)name.n, (const char *)name.p);
        report_start_fault(c, "users", &err);
    }
    if (users < lines) {
        err_set(&err, ERR_BAD_REQUEST,
                HTPASSWD_OURS ": %zu of its lines %s not NAME:HASH: remove what nobody can log in "
                              "with",
                lines - users, lines - users == 1 ? "is" : "are");
        report_start_fault(c, "users", &err);
    }
    buf_free(&text);
}

/* nginx makes the file, and makes it again when logrotate has renamed it. */
static int
look_at_access_log(const struct check *c, const char *path, struct err *err)
{
    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    struct stat st;
    int rc = 0;

    slash[slash == dir] = '\0';
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        rc = err_set(err, ERR_BAD_REQUEST, "--access-log %s is a directory: name a file in it",
                     path);
    else if (stat(path, &st) == 0 && faccessat(AT_FDCWD, path, W_OK, AT_EACCESS) != 0)
        rc = err_errno(err, "%s can't write --access-log %s: chown it", c->s.who.user, path);
    else if (stat(path, &st) != 0 && faccessat(AT_FDCWD, dir, W_OK | X_OK, AT_EACCESS) != 0)
        rc = err_errno(err,
                       "%s can't make --access-log %s: make the directory %s, and give it to this "
                       "user",
                       c->s.who.user, path, dir);
    free(dir);
    return rc;
}

static void
check_access_log(struct check *c)
{
    const struct options *o = c->s.options;
    struct err err;

    if (options_log_is_foreign(o))
        report_start_warning(c, "access log", OPTIONS_FOREIGN_LOG);
    else if (*o->access_log == '/' && look_at_access_log(c, o->access_log, &err) != 0)
        report_start_fault(c, "access log", &err);
}

/* ---- ports, sockets and nginx ---- */

/* 0: all of them are good. */
static size_t
check_ports(struct check *c)
{
    size_t bad = 0;
    struct err err;
    int rc;

    privileges_use(&c->s.who, PRIVILEGES_BIND);
    for (size_t i = 0;
         (rc = listeners_try(&c->s.listeners, c->s.options, i, buf_text(&c->running), &err)) != 0;
         i++)
        if (rc < 0) {
            bad++;
            report_start_fault(c, "ports", &err);
        }
    privileges_use(&c->s.who, 0);
    return bad;
}

static void
check_web_server(struct check *c)
{
    static char nowhere[] = "/dev/null";
    struct options *o = c->s.options;
    char *access_log = o->access_log;
    struct err err;

    if (o->fastcgi != NULL)
        return;
    if (*access_log == '/') /* nginx -t would make it */
        o->access_log = nowhere;
    /* Without its ports or certificates nginx would only say that again. */
    if (check_ports(c) == 0 && c->tls_good == tls_files_wanted(o) &&
        check_nginx_test(&c->s, &c->tls, c->scratch.fd, &err) != 0)
        report_start_fault(c, "nginx", &err);
    o->access_log = access_log;
    listeners_close(&c->s.listeners);
}

/* ---- the whole ---- */

/* -1: nothing can be said. */
static int
run_check(struct check *c, struct err *err)
{
    const struct options *o = c->s.options;

    c->s.startdir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (c->s.startdir < 0)
        return err_errno(err, "cannot open the current directory");
    if (privileges_plan(&c->s.who, o->run_as, err) < 0)
        return -1;
    check_certificate(c);
    find_sockets(c);
    find_directory(c);
    umask(0077);
    if (privileges_drop(&c->s.who, PRIVILEGES_BIND, err) < 0 ||
        privileges_take_passed(&c->s.who, err) < 0 || check_nginx_begin(&c->scratch, err) != 0)
        return -1;
    if (!c->exists) {
        fdio_close(c->s.dir.fd);
        c->s.dir = (struct datadir){.name = o->dir, .fd = dup(c->scratch.fd), .lock = -1};
    }
    check_directory(c);
    check_remote_database(c);
    check_blobs(c);
    check_users(c);
    check_rules(c);
    check_hook_files(c);
    check_sockets(c);
    check_access_log(c);
    check_web_server(c);
    return 0;
}

static enum command_exit
tell_result(struct check *c, struct err *err)
{
    if (c->s.options->json) {
        struct json *j = json_new_object();

        json_set(j, "faults", c->faults);
        json_set(j, "warnings", c->warnings);
        command_print("", j, "\n");
    } else {
        json_free(c->faults);
        json_free(c->warnings);
    }
    if (c->faults_n > 0) {
        err_set(err, ERR_BAD_REQUEST, "%zu fault%s found", c->faults_n,
                c->faults_n == 1 ? " was" : "s were");
        return COMMAND_FAILED;
    }
    if (!c->s.options->json)
        puts("no fault was found");
    return COMMAND_DONE;
}

enum command_exit
command_check(struct options *o, struct err *err)
{
    enum command_exit code = COMMAND_FAILED;
    struct check *c;

    options_forget_users(o);
    if (o->words.n > 0) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server check [options of the server]");
        return COMMAND_USAGE;
    }
    c = mem_alloc(sizeof *c);
    *c = (struct check){.s = {.options = o,
                              .startdir = -1,
                              .dir = {.fd = -1, .lock = -1},
                              .blobs = {.outside = -1}},
                        .scratch = {.fd = -1},
                        .faults = json_new_array(),
                        .warnings = json_new_array()};
    buf_init(&c->running, 1u << 20);
    if (run_check(c, err) == 0) {
        code = tell_result(c, err);
    } else {
        json_free(c->faults);
        json_free(c->warnings);
    }
    check_nginx_end(&c->scratch);
    tls_files_free(&c->tls);
    blob_store_close(&c->s.blobs);
    buf_free(&c->running);
    fdio_close(c->s.dir.fd);
    fdio_close(c->s.startdir);
    free(c);
    return code;
}
