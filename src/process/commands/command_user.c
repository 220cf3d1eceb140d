#include "process/commands/command_user.h"
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/htpasswd.h"
#include "process/server/datadir.h"
#include "process/commands/password.h"
#include "process/server/privileges.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/random.h"

/* Time for another user command to release the lock, which it holds while it writes. */
#define LOCK_WAIT_MS 10000
/* The server looks each quarter of a second. */
#define SERVER_WAIT_MS 3000
#define POLL_MS 10

struct users {
    struct privileges who;
    struct datadir dir;
    const char *name; /* "" for list */
    struct buf line;  /* of a user who is added */
    bool there;       /* auth/ is */
};

static void print_user_line(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Prints a notice to stderr, because stdout has only the list. */
static void
print_user_line(const char *fmt, ...)
{
    va_list ap;
    fputs("docker-registry-server: ", stderr);
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
}

/* ---- the file ---- */

/* 1 read, 0 no such file, -1. */
static int
read_users_file(const struct users *u, struct buf *file, struct err *err)
{
    int r;

    buf_init(file, HTPASSWD_MAX);
    r = fdio_read_file(u->dir.fd, HTPASSWD_OURS, file, err);
    if (r < 0 && err->sys == EACCES)
        return err_set(err, ERR_SYSTEM, "%s can't read %s/%s: give it to %s with chown %s %s/%s",
                       u->who.user, u->dir.name, HTPASSWD_OURS, u->who.user, u->who.user,
                       u->dir.name, HTPASSWD_OURS);
    return r;
}

static bool
names_nobody(struct bytes file)
{
    struct bytes line, name;
    return !htpasswd_next(&file, &line, &name);
}

/* Takes the lock on auth/, against other user commands; -1 and err. */
static int
lock_users(const struct users *u, struct err *err)
{
    int fd = openat(u->dir.fd, "auth", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t until;

    if (fd < 0)
        return err_errno(err, "cannot open %s/auth as %s", u->dir.name, u->who.user);
    until = clock_mono_ms() + LOCK_WAIT_MS;
    while (flock(fd, LOCK_EX | LOCK_NB) < 0) {
        if (errno == EINTR)
            continue;
        if (errno != EWOULDBLOCK)
            err_errno(err, "cannot lock %s/auth", u->dir.name);
        else if (clock_mono_ms() >= until)
            err_set(err, ERR_BUSY, "another process keeps %s/auth locked: try again later",
                    u->dir.name);
        else {
            clock_sleep_ms(POLL_MS);
            continue;
        }
        fdio_close(fd);
        return -1;
    }
    return fd;
}

/* line: "NAME:HASH\n", or empty to remove the user. 1 done, 0 there is no such user, -1. *nobody:
 * no user is left. */
static int
write_users(const struct users *u, struct bytes line, bool *nobody, struct err *err)
{
    struct bytes name = bytes_str(u->name);
    struct buf file, out;
    int lock = lock_users(u, err);
    int r;

    if (lock < 0)
        return -1;
    buf_init(&out, HTPASSWD_MAX);
    r = read_users_file(u, &file, err);
    if (r < 0)
        goto done;
    r = 1;
    if (line.n > 0)
        htpasswd_put(buf_bytes(&file), name, line, &out);
    else
        r = htpasswd_remove(buf_bytes(&file), name, &out);
    *nobody = names_nobody(buf_bytes(&out));
    if (!buf_ok(&out))
        r = err_set(err, ERR_TOO_LARGE, "%s/%s would be too large", u->dir.name, HTPASSWD_OURS);
    else if (r == 1 && fdio_replace_file(u->dir.fd, HTPASSWD_OURS, 0600, buf_bytes(&out), err) < 0)
        r = -1;
done:
    buf_free(&file);
    buf_free(&out);
    fdio_close(lock);
    return r;
}

/* ---- the server ---- */

/* True if both files have the same line for the user. Another command may be changing the same
 * user. */
static bool
is_taken_over(const struct users *u)
{
    struct bytes name = bytes_str(u->name);
    struct buf ours, run;
    struct err ignored;
    bool same;

    buf_init(&ours, HTPASSWD_MAX);
    buf_init(&run, 2 * HTPASSWD_MAX);
    same =
        fdio_read_file(u->dir.fd, HTPASSWD_OURS, &ours, &ignored) == 0 ||
        (fdio_read_file(u->dir.fd, HTPASSWD_RUN, &run, &ignored) == 1 &&
         bytes_equal(htpasswd_find(buf_bytes(&ours), name), htpasswd_find(buf_bytes(&run), name)));
    buf_free(&ours);
    buf_free(&run);
    return same;
}

/* The server has read the file since it was changed, and still uses another line for the user. */
static bool
is_overruled(const struct users *u)
{
    struct stat ours, run;
    return fstatat(u->dir.fd, HTPASSWD_OURS, &ours, 0) == 0 &&
           fstatat(u->dir.fd, HTPASSWD_RUN, &run, 0) == 0 &&
           (run.st_mtim.tv_sec > ours.st_mtim.tv_sec ||
            (run.st_mtim.tv_sec == ours.st_mtim.tv_sec &&
             run.st_mtim.tv_nsec > ours.st_mtim.tv_nsec));
}

static void
await_server(const struct users *u)
{
    uint64_t until = clock_mono_ms() + SERVER_WAIT_MS;
    while (datadir_is_served(&u->dir) && !is_taken_over(u)) {
        if (clock_mono_ms() < until) {
            clock_sleep_ms(POLL_MS);
            continue;
        }
        if (is_overruled(u))
            print_user_line("warning: the running server also has the user %s by --user, and uses "
                            "that password",
                            u->name);
        else
            print_user_line(
                "warning: the running server hasn't read this change within %d s: see its log",
                SERVER_WAIT_MS / 1000);
        return;
    }
}

/* ---- what can be done ---- */

/* Reads the password before root is given up, while no other process of the user could look. */
static int
make_user_line(struct users *u, struct err *err)
{
    struct password password;
    uint8_t salt[HTPASSWD_SALT_BYTES];
    int r;

    random_bytes(salt, sizeof salt);
    r = password_read(&password, u->name, err);
    if (r == 0)
        r = htpasswd_add(&u->line, u->name, password.text, salt, err);
    explicit_bzero(&password, sizeof password);
    return r;
}

static int
add_user(struct users *u, struct err *err)
{
    bool nobody;

    if (write_users(u, buf_bytes(&u->line), &nobody, err) < 0)
        return -1;
    if (faccessat(u->dir.fd, "db/format", F_OK, 0) < 0 && errno == ENOENT)
        print_user_line("there is no registry in %s yet; %s may use it as soon as there is",
                        u->dir.name, u->name);
    await_server(u);
    return 0;
}

static int
del(struct users *u, struct err *err)
{
    bool nobody;
    int r = u->there ? write_users(u, bytes_of(NULL, 0), &nobody, err) : 0;
    if (r < 0)
        return -1;
    if (r == 0)
        return err_set(err, ERR_BAD_REQUEST, "there is no user %s in %s/%s", u->name, u->dir.name,
                       HTPASSWD_OURS);
    await_server(u);
    if (nobody)
        print_user_line("%s was the last user: nobody may push or pull now, unless the server has "
                        "a --user. To open the registry to everybody, remove %s/%s, and send "
                        "SIGHUP to the server if it runs",
                        u->name, u->dir.name, HTPASSWD_OURS);
    return 0;
}

static int
list_users(struct users *u, struct err *err)
{
    struct bytes line, name, rest;
    struct buf file;
    int r;

    buf_init(&file, HTPASSWD_MAX);
    r = u->there ? read_users_file(u, &file, err) : 0;
    rest = buf_bytes(&file);
    if (r == 0)
        print_user_line(
            "there is no %s/%s: everybody may push and pull, unless the server has a --user",
            u->dir.name, HTPASSWD_OURS);
    else if (r > 0 && names_nobody(rest))
        print_user_line(
            "%s/%s has no users: nobody may push or pull, unless the server has a --user",
            u->dir.name, HTPASSWD_OURS);
    while (r > 0 && htpasswd_next(&rest, &line, &name)) {
        fwrite(name.p, 1, name.n, stdout);
        putchar('\n');
    }
    buf_free(&file);
    if (r >= 0 && (fflush(stdout) != 0 || ferror(stdout)))
        return err_errno(err, "cannot write the list");
    return r < 0 ? -1 : 0;
}

static const struct verb {
    const char *name;
    bool takes_name;
    bool makes; /* the data directory, if it doesn't exist */
    int (*run)(struct users *u, struct err *err);
} verbs[] = {
    {"add", true, true, add_user},
    {"del", true, false, del},
    {"list", false, false, list_users},
};

/* ---- the whole ---- */

static const struct verb *
find_verb(const struct options_list *words)
{
    for (size_t i = 0; words->n > 0 && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(words->v[0], verbs[i].name) == 0)
            return words->n == (verbs[i].takes_name ? 2 : 1) ? &verbs[i] : NULL;
    return NULL;
}

/* Nothing is made by accident in a directory where the command happened to be typed. */
static int
check_place(const struct options *o, struct err *err)
{
    if (o->dir_given || access("db/format", F_OK) == 0 || errno != ENOENT)
        return 0;
    return err_set(err, ERR_BAD_REQUEST,
                   "there is no registry in the current directory: say where it is, or will be, "
                   "with --dir");
}

static int
run_verb(const struct verb *v, const struct options *o, struct users *u, struct err *err)
{
    int r;

    if (check_place(o, err) != 0)
        return -1;
    r = datadir_plan(o->dir, o->run_as, &u->who, err);
    if (r == 0 && v->makes)
        r = make_user_line(u, err);
    if (r == 0)
        r = v->makes ? datadir_make(&u->dir, o->dir, &u->who, err)
                     : datadir_find(&u->dir, o->dir, &u->who, err);
    umask(0027);
    if (r == 0)
        r = privileges_drop(&u->who, 0, err);
    if (r == 0)
        r = datadir_open_auth(&u->dir, v->makes, &u->who, err);
    u->there = r > 0;
    if (r >= 0)
        r = v->run(u, err);
    fdio_close(u->dir.fd);
    return r;
}

enum command_exit
command_user(struct options *o, struct err *err)
{
    struct users u = {.dir = {.fd = -1, .lock = -1}, .name = ""};
    const struct verb *v = find_verb(&o->words);
    int rc;

    options_forget_users(o); /* of a configuration file */
    if (v == NULL) {
        err_set(err, ERR_BAD_REQUEST,
                "usage: docker-registry-server user add NAME | del NAME | list, with --dir, "
                "--config and --run-as as for the server");
        return COMMAND_USAGE;
    }
    if (v->takes_name) {
        u.name = o->words.v[1];
        if (htpasswd_check_name(bytes_str(u.name), err) < 0)
            return COMMAND_USAGE;
    }
    buf_init(&u.line, HTPASSWD_MAX);
    rc = run_verb(v, o, &u, err);
    buf_free(&u.line);
    return rc < 0 ? COMMAND_FAILED : COMMAND_DONE;
}
