#include "process/commands/restore_snapshot.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/backup/snapshot.h"
#include "domain/backup/snapshot_restore.h"
#include "process/commands/command_rebuild.h"
#include "process/commands/progress.h"
#include "process/server/control_call.h"
#include "process/server/datadir.h"
#include "process/server/datadir_plan.h"
#include "process/server/store_address.h"
#include "util/clock.h"
#include "util/fdio.h"

/* The data directory may be root's, and all below it the server's user's. So two processes work
 * here: one becomes the user and makes the database in NEW, the other one, which keeps the caller's
 * rights, makes that directory and exchanges the two names. */

#define OLD "db"
#define NEW "db.new"
#define NEW_FORMAT NEW "/format"

struct exchange {
    const struct options *options;
    const char *time; /* NULL: the newest, with what came since */
    int dirfd;
    struct privileges who;
    char actor[COMMAND_ACTOR_MAX];
    int socket; /* to the other process */
};

/* The maker sends this when it is ready, or has failed. */
struct outcome {
    bool good;
    struct snapshot_restored done;
    char message[ERR_MESSAGE_MAX];
};

/* ---- the maker ---- */

/* Holds the lock of the database that is there, and one for the case that none is there, until the
 * process ends. */
static int
lock_old_database(const struct datadir *dir, struct err *err)
{
    int fd = control_call_connect();

    fdio_close(fd);
    if (fd >= 0)
        return err_set(err, ERR_BUSY, "a server runs in %s: stop it first", dir->name);
    fd = openat(dir->fd, "snapshots", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_BUSY, "another restore in %s is running", dir->name);
    fd = openat(dir->fd, OLD "/lock", O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0)
        return err_set(err, ERR_BUSY, "a server runs in %s: stop it first", dir->name);
    return 0;
}

static int
make_database(const struct exchange *x, struct snapshot_restored *done, struct err *err)
{
    struct datadir dir;

    umask(0027);
    if (datadir_find(&dir, x->options->dir, &x->who, err) != 0 ||
        privileges_drop((struct privileges *)&x->who, 0, err) != 0 ||
        lock_old_database(&dir, err) != 0)
        return -1;
    if (snapshot_restore_make(dir.fd, x->time, NEW, done, err) == 0 &&
        datadir_write_format(&dir, NEW_FORMAT, err) == 0)
        return 0;
    snapshot_restore_drop(dir.fd, NEW);
    return -1;
}

_Noreturn static void
run_maker(const struct exchange *x)
{
    struct outcome o = {.good = false};
    struct err err = {.code = ERR_NONE};
    char go;

    o.good = make_database(x, &o.done, &err) == 0;
    memcpy(o.message, err.message, sizeof o.message);
    /* The lock is held until the names are exchanged. */
    if (send(x->socket, &o, sizeof o, MSG_NOSIGNAL) == (ssize_t)sizeof o && o.good &&
        recv(x->socket, &go, 1, 0) == 1) {
        if (snapshot_settle_restored(x->dirfd, &err) != 0)
            command_note("%s", err.message);
        command_remember(x->dirfd, x->actor, "restore-snapshot", o.done.name);
    }
    _exit(0);
}

/* ---- the other one ---- */

static int
make_new_directory(const struct exchange *x, struct err *err)
{
    struct stat st;
    int fd, rc = 0;

    if (fdio_mkdir(x->dirfd, NEW, 0700, err) < 0) {
        if (err->sys != EACCES)
            return -1;
        return err_set(err, ERR_SYSTEM, "%s may make nothing in %s: run this as root", x->who.user,
                       x->options->dir);
    }
    fd = openat(x->dirfd, NEW, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) != 0)
        rc = err_errno(err, "cannot open %s/" NEW, x->options->dir);
    else if (st.st_uid != x->who.uid && fchown(fd, x->who.uid, x->who.gid) != 0)
        rc = err_errno(err, "cannot give %s/" NEW " to %s", x->options->dir, x->who.user);
    fdio_close(fd);
    return rc;
}

/* name: the database before. */
static int
set_aside(const struct exchange *x, const char *name, char aside[BACKUP_PATH_MAX], struct err *err)
{
    return backup_info_rename(x->dirfd, name, OLD ".damaged-", clock_wall_ms() / 1000, aside, err);
}

/* On a file system that can't exchange two names. A restore that is killed in between is repeated:
 * no server starts meanwhile, since there is no database. */
static int
exchange_in_two_steps(const struct exchange *x, char aside[BACKUP_PATH_MAX], struct err *err)
{
    if (set_aside(x, OLD, aside, err) != 0)
        return -1;
    if (renameat(x->dirfd, NEW, x->dirfd, OLD) == 0)
        return 0;
    err_errno(err, "cannot rename %s/" NEW, x->options->dir);
    if (renameat(x->dirfd, aside, x->dirfd, OLD) == 0)
        aside[0] = '\0';
    return -1;
}

static int
exchange_names(const struct exchange *x, char aside[BACKUP_PATH_MAX], struct err *err)
{
    bool first = fdio_rename_new(x->dirfd, NEW, x->dirfd, OLD) == 0;
    int rc = first ? 0 : renameat2(x->dirfd, NEW, x->dirfd, OLD, RENAME_EXCHANGE);

    if (rc != 0 && errno == EINVAL)
        rc = exchange_in_two_steps(x, aside, err);
    else if (rc != 0)
        rc = err_errno(err, "cannot rename %s/" NEW, x->options->dir);
    else if (!first)
        rc = set_aside(x, NEW, aside, err);
    return rc == 0 ? fdio_fsync_dir(x->dirfd, ".", err) : -1;
}

/* A restore that was killed between its two renames has left the database before as NEW. */
static int
finish_exchange(const struct exchange *x, struct err *err)
{
    char aside[BACKUP_PATH_MAX];

    if (faccessat(x->dirfd, OLD "/" SNAPSHOT_RESTORED, F_OK, AT_SYMLINK_NOFOLLOW) != 0 ||
        faccessat(x->dirfd, NEW, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    return set_aside(x, NEW, aside, err);
}

static int
wait_for_maker(const struct exchange *x, struct outcome *o, char aside[BACKUP_PATH_MAX],
               struct err *err)
{
    if (recv(x->socket, o, sizeof *o, 0) != (ssize_t)sizeof *o)
        return err_set(err, ERR_SYSTEM, "the process that makes the database died");
    o->message[sizeof o->message - 1] = '\0';
    if (!o->good)
        return err_set(err, ERR_CORRUPT, "%s", o->message);
    if (exchange_names(x, aside, err) != 0)
        return -1;
    return send(x->socket, "", 1, MSG_NOSIGNAL) == 1 ? 0 : err_errno(err, "cannot go on");
}

static int
run_exchange(struct exchange *x, struct outcome *o, char aside[BACKUP_PATH_MAX], struct err *err)
{
    int pair[2], rc;
    pid_t child;

    if (finish_exchange(x, err) != 0 || make_new_directory(x, err) != 0)
        return -1;
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0)
        return err_errno(err, "cannot make a socket");
    child = fork();
    if (child == 0) {
        fdio_close(pair[0]);
        x->socket = pair[1];
        run_maker(x);
    }
    fdio_close(pair[1]);
    x->socket = pair[0];
    rc = child > 0 ? wait_for_maker(x, o, aside, err) : err_errno(err, "cannot start a process");
    fdio_close(pair[0]);
    if (child > 0)
        waitpid(child, NULL, 0);
    /* The maker has emptied it, unless another restore fills it. */
    if (rc != 0)
        unlinkat(x->dirfd, NEW, AT_REMOVEDIR);
    return rc;
}

static void
tell_restored(const struct outcome *o, const char *dir, const char *aside)
{
    const struct snapshot_restored *done = &o->done;
    char moment[CLOCK_RFC3339_MAX];

    clock_rfc3339(moment, done->logs.moment_s * 1000);
    if (done->from_tables)
        printf("restored the database from its tables, which have everything");
    else if (done->name[0] == '\0')
        printf("restored the database from its logs");
    else
        printf("restored the snapshot %s", done->name);
    if (done->with_logs && done->logs.is_whole && done->name[0] != '\0')
        printf(", and all that was logged since");
    else if (done->with_logs && !done->logs.is_whole && done->logs.moment_s != 0)
        printf(", and what was logged until %.19sZ", moment);
    if (aside[0] != '\0')
        printf("; the database before is %s/%s", dir, aside);
    putchar('\n');
    fflush(stdout);
    if (!done->is_copied)
        command_note("no snapshot of it was taken: %.200s", done->why_not);
}

/* If acknowledged changes may be lost, this says which, and the command fails. 0 if all is there,
 * or if the caller has chosen the snapshot. */
static int
tell_loss(const struct exchange *x, const struct snapshot_restored *done, struct err *err)
{
    char lost[PROGRESS_SIZE_MAX];

    if (x->time != NULL || done->from_tables || (done->with_logs && done->logs.is_whole))
        return 0;
    if (!done->with_logs)
        return err_set(err, ERR_CORRUPT,
                       "the logs behind the snapshot %s can't be used: what was changed later is "
                       "lost, except for the layers that rebuild has found",
                       done->name);
    progress_size(lost, done->logs.lost);
    return err_set(err, ERR_CORRUPT,
                   "%s can't be read behind byte %u, and %s of logs behind it: what was changed "
                   "later is lost, except for the layers that rebuild has found",
                   done->logs.log, done->logs.at, lost);
}

/* Root does nothing in a directory that isn't root's alone. */
static int
open_exchange(struct exchange *x, struct err *err)
{
    const char *dir = x->options->dir;

    if (datadir_plan(dir, x->options->run_as, &x->who, err) != 0)
        return -1;
    x->dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (x->dirfd < 0)
        return errno == ENOENT ? datadir_none(dir, err)
                               : err_errno(err, "cannot open directory %s", dir);
    if (faccessat(x->dirfd, "snapshots", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return datadir_none(dir, err);
    if (faccessat(x->dirfd, STORE_ADDRESS_MOVED, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "the metadata of this registry was moved to a database, and its snapshots "
                       "are older than that");
    return datadir_plan_roots_alone(x->dirfd) ? 0 : privileges_drop(&x->who, 0, err);
}

enum command_exit
restore_snapshot(struct options *o, struct err *err)
{
    struct exchange x = {.options = o, .dirfd = -1, .time = o->words.n > 0 ? o->words.v[0] : NULL};
    const char *const args[] = {"rebuild", "", x.actor, NULL};
    struct outcome outcome = {.good = false};
    char aside[BACKUP_PATH_MAX] = "";
    enum command_exit code;
    struct err loss;
    bool lost;
    int rc;

    command_actor(x.actor);
    rc = open_exchange(&x, err);
    if (rc == 0)
        rc = run_exchange(&x, &outcome, aside, err);
    fdio_close(x.dirfd);
    if (rc != 0)
        return COMMAND_FAILED;
    tell_restored(&outcome, o->dir, aside);
    lost = tell_loss(&x, &outcome.done, &loss) != 0;
    if (!lost && x.time == NULL)
        return COMMAND_DONE;
    /* Layers that were pushed since may be among the files. */
    code = control_run(o, command_rebuild_work, args, err);
    if (code != COMMAND_DONE || !lost)
        return code;
    *err = loss;
    return COMMAND_FAILED;
}
