#include "process/commands/command_restore.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/restore.h"
#include "process/commands/backup_dir.h"
#include "process/commands/import_helper.h"
#include "process/commands/progress.h"
#include "process/commands/restore_snapshot.h"
#include "process/server/datadir.h"
#include "storage/files/blob_store.h"
#include "util/fdio.h"

struct restoring {
    int socket; /* the first member, because import_helper_open gets a pointer to it */
    struct progress progress;
};

/* ---- which backup ---- */

static bool
has_info(int dir, const char *name)
{
    char path[BACKUP_TIME_MAX + sizeof BACKUP_INFO_NAME + 1];

    snprintf(path, sizeof path, "%s/%s", name, BACKUP_INFO_NAME);
    return faccessat(dir, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* The newest of a directory of backups. One that was cut off isn't passed over in silence. */
static int
choose_newest(char out[PATH_MAX], const char *path, int dir, struct err *err)
{
    struct backup_dir_list l;
    char whole[BACKUP_TIME_MAX];
    int rc = backup_dir_list(dir, &l, err);

    if (rc == 0)
        rc = backup_dir_newest(dir, whole, err);
    if (rc == 0)
        err_set(err, ERR_BAD_REQUEST, "%s is no complete backup, and has none", path);
    else if (rc == 1 && strcmp(l.names[l.n - 1], whole) != 0)
        rc = err_set(err, ERR_CORRUPT,
                     "the newest backup, %s, is not complete: name another one, such as %s/%s",
                     l.names[l.n - 1], path, whole);
    else if (rc == 1 && snprintf(out, PATH_MAX, "%s/%s", path, whole) >= PATH_MAX)
        rc = err_set(err, ERR_BAD_REQUEST, "name too long: %s", path);
    free(l.names);
    return rc == 1 ? 0 : -1;
}

/* Refuses it before anything is made. */
static int
check_info(const char *path, struct err *err)
{
    struct backup_info info;
    int rc = backup_dir_info(AT_FDCWD, path, &info, err);

    backup_info_free(&info);
    if (rc == 0)
        return err_set(err, ERR_CORRUPT, "%s is no complete backup: it has no %s", path,
                       BACKUP_INFO_NAME);
    return rc == 1 ? 0 : -1;
}

static int
choose_backup(char out[PATH_MAX], const char *path, struct err *err)
{
    int rc, dir = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const char *last = strrchr(path, '/');

    if (dir < 0)
        return err_errno(err, "cannot open the backup %s", path);
    snprintf(out, PATH_MAX, "%s", path);
    /* A backup that is named is refused later, if it isn't complete. */
    if (has_info(dir, ".") || backup_info_is_time(last != NULL ? last + 1 : path))
        rc = 0;
    else
        rc = choose_newest(out, path, dir, err);
    fdio_close(dir);
    return rc == 0 ? check_info(out, err) : -1;
}

/* ---- the target ---- */

/* A directory that a restore has made, with nothing in it but what it makes first. */
static bool
is_just_made(int dir, const char *name)
{
    static const char *const made[] = {"layers",    "db",    "uploads", "index", "auth", "run",
                                       "snapshots", "hooks", "audit",   "cache", NULL};
    static const char *const below[] = {".",    "..",   "sha256", "sha512",
                                        "body", "logs", "lock",   NULL};
    struct err ignored;
    const char *const *known = made;
    DIR *d;
    bool just = true;

    while (*known != NULL && strcmp(*known, name) != 0)
        known++;
    if (*known == NULL || faccessat(dir, "layers/sha256/00", F_OK, AT_SYMLINK_NOFOLLOW) == 0 ||
        (d = fdio_opendir(dir, name, &ignored)) == NULL)
        return false;
    for (const struct dirent *e; just && (e = readdir(d)) != NULL;) {
        for (known = below; *known != NULL && strcmp(*known, e->d_name) != 0;)
            known++;
        just = *known != NULL;
    }
    closedir(d);
    return just;
}

/* An empty directory, or none, or one that an earlier restore has left. */
static int
check_restore_target(const char *name, struct err *err)
{
    DIR *dir;
    int rc = 0, fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open directory %s", name);
    if (faccessat(fd, "db/restoring", F_OK, AT_SYMLINK_NOFOLLOW) == 0) {
        fdio_close(fd);
        return 0;
    }
    dir = fdopendir(fd);
    if (dir == NULL) {
        fdio_close(fd);
        return err_errno(err, "cannot read directory %s", name);
    }
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            strcmp(e->d_name, "lost+found") != 0 && !is_just_made(fd, e->d_name))
            rc = err_set(err, ERR_BAD_REQUEST,
                         "%s isn't empty (it has %.100s): name an empty directory with --dir", name,
                         e->d_name);
    closedir(dir);
    return rc;
}

/* Root's directory is closed to the user, who puts the hooks into this one. */
static int
make_hooks_directory(const struct datadir *dir, const struct privileges *who, struct err *err)
{
    int fd, rc;

    if (!who->root || who->uid == 0)
        return 0;
    rc = fdio_mkdir(dir->fd, "hooks", 0750, err);
    if (rc != 1)
        return rc;
    fd = openat(dir->fd, "hooks", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fchown(fd, who->uid, who->gid) != 0)
        rc = err_errno(err, "cannot give %s/hooks to %s", dir->name, who->user);
    fdio_close(fd);
    return rc < 0 ? -1 : 0;
}

/* As the caller; then as the server's user. */
static int
take_restore_target(struct datadir *dir, const struct options *o, struct privileges *who,
                    struct err *err)
{
    umask(0027);
    if (privileges_plan(who, o->run_as, err) != 0 || datadir_make(dir, o->dir, who, err) != 0)
        return -1;
    dir->restoring = true;
    if (make_hooks_directory(dir, who, err) != 0 || privileges_drop(who, 0, err) != 0 ||
        datadir_open(dir, who, err) != 0)
        return -1;
    return datadir_begin_restore(dir, err);
}

/* ---- the work ---- */

static int
open_in_backup(void *arg, const char *name, int *fd, struct err *err)
{
    return import_helper_open(arg, name, false, fd, err);
}

/* A signal ends the process, and the restore can be repeated. */
static bool
restore_goes_on(void *arg)
{
    (void)arg;
    return false;
}

static void
show_restore_progress(void *arg, const char *what, const struct backup_counts *n)
{
    struct restoring *r = arg;
    char some[PROGRESS_SIZE_MAX], whole[PROGRESS_SIZE_MAX];

    if (!r->progress.on)
        return;
    progress_size(some, n->seen_bytes);
    progress_size(whole, n->bytes);
    progress_tell(&r->progress, "%s: %llu of %llu blobs, %s of %s", what,
                  (unsigned long long)n->seen, (unsigned long long)n->blobs, some, whole);
}

/* After a failure: what was made stays, for the next try. */
static void
tell_what_stays(const struct datadir *dir, struct err *err)
{
    char why[ERR_MESSAGE_MAX];

    if (dir->fd < 0 || faccessat(dir->fd, "db/restoring", F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return;
    memcpy(why, err->message, sizeof why);
    err_set(err, err->code, "%s (%.100s is not complete: repeat the restore, or remove it)", why,
            dir->name);
}

static int
restore_backup(const struct options *o, const char *backup, struct err *err)
{
    struct restoring r = {.socket = -1};
    const struct restore_source from = {.what = backup,
                                        .open = open_in_backup,
                                        .is_over = restore_goes_on,
                                        .tell = show_restore_progress,
                                        .arg = &r};
    struct datadir dir = {.fd = -1, .lock = -1};
    struct blob_store blobs = {.outside = -1};
    struct privileges who;
    struct backup_counts n;
    char bytes[PROGRESS_SIZE_MAX], actor[COMMAND_ACTOR_MAX];
    int rc = import_helper_start(backup, NULL, NULL, &r.socket, err);

    command_actor(actor);
    progress_begin(&r.progress);
    if (rc == 0)
        rc = take_restore_target(&dir, o, &who, err);
    if (rc == 0)
        rc = blob_store_open(&blobs, dir.fd, o->blobs, false, err);
    if (rc == 0)
        rc = restore_make(&blobs, o->database, &from, &n, err);
    if (rc == 0)
        rc = datadir_end_restore(&dir, &who, err);
    progress_end(&r.progress);
    if (rc == 0) {
        command_remember(dir.fd, actor, "restore", backup);
        progress_size(bytes, n.bytes);
        printf("restored %s: %llu blob%s (%s)\n", backup, (unsigned long long)n.blobs,
               progress_plural(n.blobs), bytes);
        if (n.damaged > 0)
            command_note(n.damaged == 1
                             ? "%llu blob was damaged before the backup, and is missing"
                             : "%llu blobs were damaged before the backup, and are missing",
                         (unsigned long long)n.damaged);
    }
    if (rc != 0)
        tell_what_stays(&dir, err);
    fdio_close(r.socket);
    blob_store_close(&blobs);
    fdio_close(dir.fd);
    fdio_close(dir.lock);
    return rc;
}

enum command_exit
command_restore(struct options *o, struct err *err)
{
    char backup[PATH_MAX];

    options_forget_users(o); /* of a configuration file */
    if (o->snapshot && o->words.n <= 1)
        return restore_snapshot(o, err);
    if (o->words.n != 1 || o->words.v[0][0] == '\0' || !o->dir_given) {
        err_set(
            err, ERR_BAD_REQUEST,
            "usage: docker-registry-server restore BACKUP --dir NEW-DIRECTORY [--blobs DIRECTORY] "
            "[--database URL] [--run-as USER], or restore --snapshot [TIME], with --dir and "
            "--config as for the "
            "server");
        return COMMAND_USAGE;
    }
    if (choose_backup(backup, o->words.v[0], err) != 0 || check_restore_target(o->dir, err) != 0 ||
        restore_backup(o, backup, err) != 0)
        return COMMAND_FAILED;
    return COMMAND_DONE;
}
