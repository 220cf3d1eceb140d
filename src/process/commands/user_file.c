#include "process/commands/user_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/access_file.h"
#include "domain/access/htpasswd.h"
#include "process/commands/command.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/file_lock.h"

/* Time for another user command to release the lock, which it holds while it writes. */
#define LOCK_WAIT_MS 10000
/* The server looks once a second. */
#define SERVER_WAIT_MS 3000
#define POLL_MS 10

int
user_file_no_user(const struct user_file *f, const char *name, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST, "there is no user %s in %s/%s", name, f->dir.name,
                   HTPASSWD_OURS);
}

/* ---- changes ---- */

/* Takes the lock on auth/, against other user commands; -1 and err. */
static int
lock_users(const struct user_file *f, struct err *err)
{
    int fd = openat(f->dir.fd, "auth", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    uint64_t until;
    int rc;

    if (fd < 0)
        return err_errno(err, "cannot open %s/auth as %s", f->dir.name, f->who.user);
    until = clock_mono_ms() + LOCK_WAIT_MS;
    while ((rc = file_lock_try(fd, f->dir.name, "auth", err)) == 0 && clock_mono_ms() < until)
        clock_sleep_ms(POLL_MS);
    if (rc == 1)
        return fd;
    if (rc == 0)
        err_set(err, ERR_BUSY, "another process keeps %s/auth locked: try again later",
                f->dir.name);
    fdio_close(fd);
    return -1;
}

int
user_file_begin(const struct user_file *f, struct user_edit *e, struct err *err)
{
    buf_init(&e->text, HTPASSWD_MAX);
    e->lock = lock_users(f, err);
    return e->lock < 0 || command_read(&f->dir, &f->who, HTPASSWD_OURS, &e->text, err) < 0 ? -1 : 0;
}

void
user_file_end(struct user_edit *e)
{
    fdio_close(e->lock);
    e->lock = -1;
}

void
user_file_free(struct user_edit *e)
{
    user_file_end(e);
    buf_free(&e->text);
}

int
user_file_write(const struct user_file *f, const struct user_edit *e, const char *name,
                struct bytes line, bool *nobody, struct err *err)
{
    struct bytes left, any, any_name;
    struct buf out;
    int rc = 1;

    buf_init(&out, HTPASSWD_MAX);
    if (line.n > 0)
        htpasswd_put(buf_bytes(&e->text), bytes_str(name), line, &out);
    else
        rc = htpasswd_remove(buf_bytes(&e->text), bytes_str(name), &out);
    left = buf_bytes(&out);
    *nobody = !htpasswd_next(&left, &any, &any_name);
    if (!buf_ok(&out))
        rc = err_set(err, ERR_TOO_LARGE, "%s/%s would be too large", f->dir.name, HTPASSWD_OURS);
    else if (rc == 1 && fdio_replace_file(f->dir.fd, HTPASSWD_OURS, 0600, buf_bytes(&out), err) < 0)
        rc = -1;
    buf_free(&out);
    return rc;
}

/* ---- the server ---- */

/* Does the server have to use this line? A robot may have expired since it was added. */
static bool
is_due(struct bytes line)
{
    struct htpasswd_user u;

    htpasswd_parse(&u, line);
    return !htpasswd_has_expired(&u, clock_wall_ms() / 1000);
}

/* True if both files have the same line for the user. Another command may be changing the same
 * user. */
static bool
is_taken_over(const struct user_file *f, const char *name)
{
    struct bytes line;
    struct buf ours, run;
    struct err ignored;
    bool same = true;

    buf_init(&ours, HTPASSWD_MAX);
    buf_init(&run, 2 * HTPASSWD_MAX);
    if (fdio_read_file(f->dir.fd, HTPASSWD_OURS, &ours, &ignored) != 0) {
        line = htpasswd_find(buf_bytes(&ours), bytes_str(name));
        same =
            !is_due(line) || (fdio_read_file(f->dir.fd, HTPASSWD_RUN, &run, &ignored) == 1 &&
                              bytes_equal(line, htpasswd_find(buf_bytes(&run), bytes_str(name))));
    }
    buf_free(&ours);
    buf_free(&run);
    return same;
}

static bool
is_later(const struct timespec *a, const struct timespec *b)
{
    return a->tv_sec > b->tv_sec || (a->tv_sec == b->tv_sec && a->tv_nsec > b->tv_nsec);
}

/* The server has a line for the user that is not the one before. */
static bool
is_overruled(const struct user_file *f, const struct user_edit *e, const char *name)
{
    struct bytes line, before = htpasswd_find(buf_bytes(&e->text), bytes_str(name));
    struct err ignored;
    struct buf run;
    bool other = false;

    buf_init(&run, 2 * HTPASSWD_MAX);
    if (fdio_read_file(f->dir.fd, HTPASSWD_RUN, &run, &ignored) == 1) {
        line = htpasswd_find(buf_bytes(&run), bytes_str(name));
        other = line.n > 0 && !bytes_equal(line, before);
    }
    buf_free(&run);
    return other;
}

/* Has the server written its files since the last look? run/access is the last of them. The files
 * may be large, so they are read only then. */
static bool
has_moved(const struct user_file *f, struct stat *seen)
{
    struct stat now, first, was = *seen;

    if (fstatat(f->dir.fd, ACCESS_FILE_NAME, &now, 0) < 0 ||
        fstatat(f->dir.fd, HTPASSWD_RUN, &first, 0) < 0)
        return true;
    if (is_later(&first.st_mtim, &now.st_mtim))
        return false;
    *seen = now;
    return !fdio_same_file(&was, &now);
}

void
user_file_await(const struct user_file *f, const struct user_edit *e, const char *name)
{
    uint64_t until = clock_mono_ms() + SERVER_WAIT_MS;
    struct stat seen = {.st_ino = 0};

    while (datadir_is_served(&f->dir) && !(has_moved(f, &seen) && is_taken_over(f, name))) {
        if (clock_mono_ms() < until) {
            clock_sleep_ms(POLL_MS);
            continue;
        }
        if (!is_taken_over(f, name) && is_overruled(f, e, name))
            command_note("warning: the running server also has the user %s by --user, and uses "
                         "that password",
                         name);
        else
            command_note(
                "warning: the running server hasn't read this change within %d s: see its log",
                SERVER_WAIT_MS / 1000);
        return;
    }
}
