#include "process/server/datadir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "process/server/datadir_lock.h"
#include "process/server/datadir_plan.h"
#include "process/server/other_registry.h"
#include "process/server/pools.h"
#include "storage/files/disk_space.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/parse.h"

#define FORMAT_NAME "db/format"
#define FORMAT_TEXT "docker-registry-server store, format "
#define FORMAT 1u
/* While a restore fills the directory. */
#define RESTORING_NAME "db/restoring"
/* Made by the first start: without a database beside it, that was lost. */
#define LAYERS_NAME "layers/sha256/00"

/* The directories. below: names that may be in it before anything was stored there. A directory
 * that holds something else, without a db/format beside it, belongs to another program. */
static const struct subdir {
    const char *name;
    mode_t mode;
    const char *below[11];
} subdirs[] = {
    {"layers", 0750, {"sha256", "sha512"}},
    {"layers/sha256", 0750, {NULL}},
    {"layers/sha512", 0750, {NULL}},
    {"db", 0700, {"lock", "format"}},
    {"uploads", 0700, {"body"}},
    {"uploads/body", 0700, {NULL}},
    {"index", 0750, {NULL}},
    {"auth", 0700, {NULL}},
    {"run", 0700, {NULL}},
    {"snapshots", 0700, {NULL}},
    {"snapshots/logs", 0700, {NULL}},
    {"audit", 0700, {NULL}},
    {"cache", 0700, {NULL}},
};

#define SUBDIRS (sizeof subdirs / sizeof *subdirs)

/* The names in a data directory. */
static const struct subdir whole = {
    ".",
    0,
    {"layers", "db", "uploads", "index", "auth", "run", "hooks", "snapshots", "audit", "cache"}};

/* Directories that hold something of value. */
static const struct subdir *const stores[] = {&subdirs[0], &subdirs[1], &subdirs[2], &subdirs[3],
                                              &subdirs[4]};

static bool
expected(const struct subdir *s, const char *entry)
{
    size_t n = strlen(entry);

    if (strcmp(entry, ".") == 0 || strcmp(entry, "..") == 0)
        return true;
    for (size_t i = 0; i < sizeof s->below / sizeof *s->below && s->below[i] != NULL; i++)
        if (strcmp(entry, s->below[i]) == 0)
            return true;
    /* what restore --snapshot has set aside, or not finished */
    if (s == &whole && (strncmp(entry, "db.damaged-", 11) == 0 || strcmp(entry, "db.new") == 0))
        return true;
    /* the format, half written when the machine crashed */
    return strcmp(s->name, "db") == 0 && strncmp(entry, "format.", 7) == 0 && n > 4 &&
           strcmp(entry + n - 4, ".tmp") == 0;
}

/* Opens a directory below the data directory, or below what fd is. Follows no link. */
static int
open_subdir(int fd, const char *name)
{
    return openat(fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
}

/* Looks for names that aren't expected in a directory: 1, 0, -1. Closes fd. */
static int
has_other_names(int fd, const struct subdir *s, struct err *err)
{
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int r = 0;

    if (dir == NULL) {
        err_errno(err, "cannot read directory %s", s->name);
        fdio_close(fd);
        return -1;
    }
    for (const struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;)
        r = !expected(s, e->d_name);
    closedir(dir);
    return r;
}

/* 1 it holds something, 0 it is empty or missing, -1. Root looks into its own directories only. */
static int
holds_something(int dirfd, const struct subdir *s, struct err *err)
{
    int fd = open_subdir(dirfd, s->name);
    struct stat st;

    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd >= 0 && geteuid() == 0 && fstat(fd, &st) == 0 && st.st_uid != 0) {
        fdio_close(fd);
        return 0;
    }
    return has_other_names(fd, s, err);
}

/* ---- whose is it? ---- */

static int
read_only(const struct datadir *d, struct err *err)
{
    return err_set(err, ERR_SYSTEM,
                   "%s is on a file system that is mounted read-only: mount it for writing, or "
                   "choose another directory with --dir",
                   d->name);
}

/* name: in the directory, or NULL for the directory itself, which belongs to the user uid. */
static int
wrong_owner(const struct datadir *d, const char *name, uid_t uid, const struct privileges *who,
            struct err *err)
{
    const struct passwd *pw = getpwuid(uid);
    char owner[64], or_else[ERR_MESSAGE_MAX] = "";
    struct statvfs fs;

    if (other_registry_backup(d->fd, d->name, err) != 0)
        return -1; /* a backup keeps its owner */
    if (fstatvfs(d->fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0)
        return read_only(d, err); /* no owner can be changed there */
    if (pw != NULL)
        snprintf(owner, sizeof owner, "%s", pw->pw_name);
    else
        snprintf(owner, sizeof owner, "user %lu", (unsigned long)uid);
    if (uid == 0)
        snprintf(or_else, sizeof or_else, ", or give it to %s with chown -R %s %s", who->user,
                 who->user, d->name);
    return err_set(err, ERR_SYSTEM, "%s%s%s belongs to %s, and this runs as %s: run it %s %s%s",
                   d->name, name != NULL ? "/" : "", name != NULL ? name : "", owner, who->user,
                   who->root && pw != NULL ? "with --run-as" : "as", owner, or_else);
}

/* After a failure to open something of this name: says whose it is, if that is the reason. If its
 * owner can't be seen, the directory's is meant. */
static int
blame_owner(const struct datadir *d, const char *name, const struct privileges *who,
            struct err *err)
{
    bool seen;
    struct stat st;

    if (err->sys != EACCES)
        return -1;
    seen = fstatat(d->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
    if ((!seen && (fstat(d->fd, &st) < 0 || st.st_uid == 0)) || st.st_uid == who->uid)
        return -1;
    return wrong_owner(d, seen ? name : NULL, st.st_uid, who, err);
}

/* 1 it is a store that we know, 0 there is no db/format, -1. */
static int
read_format(const struct datadir *d, const struct privileges *who, struct err *err)
{
    struct buf text;
    uint64_t format;
    int r;

    buf_init(&text, 256);
    format = 0;
    r = fdio_read_file(d->fd, FORMAT_NAME, &text, err);
    if (r < 0)
        r = blame_owner(d, "db", who, err);
    if (r > 0) {
        size_t n = strlen(FORMAT_TEXT);
        const char *number = buf_text(&text) + n;
        if (!bytes_start_with(buf_bytes(&text), bytes_str(FORMAT_TEXT)) ||
            !parse_u64(number, strcspn(number, "\n"), &format) || format == 0)
            r = err_set(err, ERR_CORRUPT,
                        "%s/%s was not made by this program: choose another directory with --dir",
                        d->name, FORMAT_NAME);
        else if (format > FORMAT)
            r = err_set(err, ERR_UNSUPPORTED,
                        "%s was written by a newer version (format %llu, and this one knows %u): "
                        "use that version, or another directory with --dir",
                        d->name, (unsigned long long)format, FORMAT);
    }
    buf_free(&text);
    return r;
}

/* A new data directory has to be empty, except for what a mount point has, hidden files, and hooks
 * or users that were put there before. */
static int
refuse_strangers(const struct datadir *d, struct err *err)
{
    DIR *dir = fdio_opendir(d->fd, ".", err);
    const char *other;
    int rc = 0;

    if (dir == NULL)
        return err_errno(err, "cannot read directory %s", d->name);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (e->d_name[0] == '.' || strcmp(e->d_name, "lost+found") == 0 ||
            expected(&whole, e->d_name))
            continue;
        rc = -1;
        other = other_registry_name(d->fd, e->d_name);
        if (other != NULL) {
            err_set(err, ERR_UNSUPPORTED,
                    "%s holds %s, of %s: choose an empty directory with --dir, and "
                    "\"docker-registry-server import\" brings the images there",
                    d->name, e->d_name, other);
            break;
        }
        err_set(err, ERR_UNSUPPORTED,
                "%s holds %s, which isn't a registry's: choose an empty directory with --dir",
                d->name, e->d_name);
    }
    closedir(dir);
    return rc;
}

static bool
has_name(const struct datadir *d, const char *name)
{
    return faccessat(d->fd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* There is no db/format. Says why, if this was or becomes a data directory: -1; else 0. */
static int
blame_lost_database(const struct datadir *d, struct err *err)
{
    if (has_name(d, RESTORING_NAME))
        return err_set(err, ERR_UNSUPPORTED,
                       "a restore into %s was not finished: repeat it, or empty the directory",
                       d->name);
    if (has_name(d, LAYERS_NAME))
        return err_set(err, ERR_CORRUPT,
                       "the database of %s is gone (there is no %s, but there are layers): put it "
                       "back with docker-registry-server restore --snapshot --dir %s",
                       d->name, FORMAT_NAME, d->name);
    return 0;
}

/* There is no db/format. */
static int
check_is_new(const struct datadir *d, bool top_only, struct err *err)
{
    if (d->restoring && has_name(d, RESTORING_NAME))
        return 0;
    if (refuse_strangers(d, err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof stores / sizeof *stores; i++) {
        int r = top_only && strchr(stores[i]->name, '/') != NULL
                    ? 0
                    : holds_something(d->fd, stores[i], err);

        if (r < 0)
            return -1;
        if (r > 0)
            return err_set(err, ERR_UNSUPPORTED,
                           "%s/%s holds something of another program (there is no %s): choose "
                           "another directory with --dir",
                           d->name, stores[i]->name, FORMAT_NAME);
    }
    return 0;
}

static int
check_ours(const struct datadir *d, const struct privileges *who, struct err *err)
{
    int r = other_registry_backup(d->fd, d->name, err) == 0 ? read_format(d, who, err) : -1;

    if (r == 1 && d->restoring)
        return err_set(err, ERR_BAD_REQUEST, "%s has a registry: name an empty directory", d->name);
    if (r != 0)
        return r < 0 ? -1 : 0;
    return (!d->restoring && blame_lost_database(d, err) != 0) || check_is_new(d, false, err) != 0
               ? -1
               : 0;
}

/* fd: the directory. Gives it to `who` if root has just made it, or if it is empty because an
 * earlier start has failed. */
static int
give_subdir(const struct datadir *d, const struct subdir *s, const struct privileges *who, int fd,
            bool made, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) < 0)
        return err_errno(err, "cannot look at %s/%s", d->name, s->name);
    if (st.st_uid == who->uid)
        return 0;
    if (!made) {
        int holds = geteuid() == 0 && st.st_uid == 0 ? holds_something(d->fd, s, err) : 1;

        if (holds != 0)
            return holds < 0 ? -1 : wrong_owner(d, s->name, st.st_uid, who, err);
    }
    if (fchown(fd, who->uid, who->gid) < 0)
        return err_errno(err, "cannot give %s/%s to %s", d->name, s->name, who->user);
    return 0;
}

/* Makes the directory if it is missing. */
static int
make_subdir(const struct datadir *d, const struct subdir *s, const struct privileges *who,
            struct err *err)
{
    int made = fdio_mkdir(d->fd, s->name, s->mode, err);
    int fd, rc;

    if (made < 0 && err->sys == EROFS)
        return read_only(d, err);
    if (made < 0 && (err->sys == EACCES || err->sys == EPERM))
        return err_set(err, ERR_SYSTEM,
                       "cannot make %s/%s: %s can't write there: change its owner, or choose "
                       "another directory with --dir",
                       d->name, s->name, geteuid() == 0 ? "root" : who->user);
    if (made < 0)
        return -1;
    fd = open_subdir(d->fd, s->name);
    if (fd < 0) {
        err_errno(err, "cannot open directory %s/%s", d->name, s->name);
        return blame_owner(d, s->name, who, err);
    }
    rc = give_subdir(d, s, who, fd, made > 0, err);
    fdio_close(fd);
    return rc;
}

static int
can_use_subdir(const struct datadir *d, const struct subdir *s, const struct privileges *who,
               struct err *err)
{
    if (faccessat(d->fd, s->name, R_OK | W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return err_errno(err, "%s can't read and write in %s/%s (check the modes, from there up to %s)",
                     who->user, d->name, s->name, d->name);
}

/* A single table of another user, from a start as root for example, makes the database fail in odd
 * ways. */
static int
check_files(const struct datadir *d, const struct privileges *who, struct err *err)
{
    DIR *dir = fdio_opendir(d->fd, "db", err);
    int r = 0;

    if (dir == NULL)
        return err_errno(err, "cannot read directory %s/db", d->name);
    for (const struct dirent *e; r == 0 && (e = readdir(dir)) != NULL;) {
        struct stat st;
        if (strcmp(e->d_name, "..") == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_uid == who->uid)
            continue;
        r = wrong_owner(d, "db", st.st_uid, who, err);
    }
    closedir(dir);
    return r;
}

/* ---- the directory itself ---- */

int
datadir_none(const char *name, struct err *err)
{
    return err_set(err, ERR_BAD_REQUEST,
                   "there is no registry in %s: start the server with this --dir once, or say "
                   "with --dir where the registry is",
                   name);
}

/* Makes the directories above it too, as mkdir -p does, so that others, such as an existing nginx,
 * may pass through them. */
static int
make_parents(const char *name, struct err *err)
{
    char *path = mem_strdup(name);
    int r = 0;
    for (char *slash = strchr(path + 1, '/'); r == 0 && slash != NULL;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0755) < 0 && errno != EEXIST)
            r = err_errno(err, "cannot make directory %s", path);
        *slash = '/';
    }
    if (r == 0 && mkdir(path, 0750) < 0 && errno != EEXIST)
        r = err_errno(err, "cannot make directory %s", path);
    free(path);
    return r;
}

/* The error for a directory that can't be opened. Below one of root's are the files of a user that
 * can't be seen from here. */
static int
closed_directory(const struct datadir *d, const struct privileges *who, struct err *err)
{
    const char *user = who->root ? "root" : who->user;
    bool seen;
    struct stat st;

    err_errno(err, "cannot open directory %s as %s", d->name, user);
    seen = err->sys == EACCES && stat(d->name, &st) == 0;
    if (seen && st.st_uid == 0)
        return err_set(err, ERR_SYSTEM,
                       "%s is closed to %s: run this as root, or as the registry's user", d->name,
                       user);
    return seen && st.st_uid != who->uid ? wrong_owner(d, NULL, st.st_uid, who, err) : -1;
}

static int
open_data_directory(struct datadir *d, bool make, const struct privileges *who, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    d->fd = open(d->name, flags);
    if (d->fd < 0 && errno == ENOENT && make) {
        if (make_parents(d->name, err) < 0)
            return -1;
        d->fd = open(d->name, flags);
        if (d->fd >= 0 && who->root && fchown(d->fd, (uid_t)-1, who->gid) < 0)
            return err_errno(err, "cannot let %s into %s", who->user, d->name);
    }
    if (d->fd < 0 && errno == ENOENT && !make)
        return datadir_none(d->name, err);
    if (d->fd < 0)
        return closed_directory(d, who, err);
    if (fchdir(d->fd) < 0)
        return err_errno(err, "cannot enter directory %s", d->name);
    return 0;
}

/* An earlier version gave the whole directory to the user. Takes it back, unless it has other
 * files, which are not ours to decide about. */
static int
take_over(const struct datadir *d, const struct privileges *who, struct err *err)
{
    struct stat st;
    int holds;

    if (fstat(d->fd, &st) < 0 || st.st_uid != who->uid)
        return 0;
    holds = has_other_names(open_subdir(d->fd, "."), &whole, err);
    if (holds != 0)
        return holds < 0 ? -1 : 0;
    if (fchown(d->fd, 0, who->gid) < 0 ||
        fchmod(d->fd, (st.st_mode & 07755) | S_IRGRP | S_IXGRP) < 0)
        return err_errno(err, "cannot take %s over", d->name);
    log_line(LOG_INFO, "the data directory belongs to root from now on", "dir=%s was=%s", d->name,
             who->user);
    return 0;
}

/* If the directory is root's and closed (mktemp -d, for example), the group of the user that we
 * become gets the right to enter it. Other directories stay as they are. */
static int
let_in(const struct datadir *d, const struct privileges *who, struct err *err)
{
    struct stat st;

    if (!who->root || who->uid == 0 || fstat(d->fd, &st) < 0 || st.st_uid != 0 ||
        (st.st_mode & 0077) != 0)
        return 0;
    if (fchown(d->fd, (uid_t)-1, who->gid) < 0 || fchmod(d->fd, (st.st_mode & 07777) | 0050) < 0)
        return err_errno(err, "cannot let %s into %s", who->user, d->name);
    return 0;
}

/* ---- the whole ---- */

int
datadir_find(struct datadir *d, const char *name, const struct privileges *who, struct err *err)
{
    *d = (struct datadir){.name = name, .fd = -1, .lock = -1};
    return open_data_directory(d, false, who, err);
}

int
datadir_make(struct datadir *d, const char *name, const struct privileges *who, struct err *err)
{
    *d = (struct datadir){.name = name, .fd = -1, .lock = -1};
    if (open_data_directory(d, true, who, err) < 0)
        return -1;
    if (!who->root || who->uid == 0)
        return 0;
    if (take_over(d, who, err) < 0)
        return -1;
    if (!datadir_plan_roots_alone(d->fd))
        return 0;
    /* The user reads the format: db/ is the user's, and root opens nothing in it. */
    if (faccessat(d->fd, FORMAT_NAME, F_OK, AT_SYMLINK_NOFOLLOW) < 0 &&
        check_is_new(d, true, err) < 0)
        return -1;
    if (let_in(d, who, err) < 0)
        return -1;
    for (size_t i = 0; i < SUBDIRS; i++)
        if (strchr(subdirs[i].name, '/') == NULL && make_subdir(d, &subdirs[i], who, err) < 0)
            return -1;
    return 0;
}

int
datadir_open(struct datadir *d, const struct privileges *who, struct err *err)
{
    if (check_ours(d, who, err) < 0)
        return -1;
    for (size_t i = 0; i < SUBDIRS; i++)
        if (make_subdir(d, &subdirs[i], who, err) < 0)
            return -1;
    if (fdio_fsync_dir(d->fd, ".", err) < 0)
        return -1;
    if (check_files(d, who, err) < 0)
        return -1;
    if (d->lock >= 0) /* from the server before */
        return 0;
    if (datadir_lock_wait(&d->lock, d->fd, d->name, err) == 0)
        return 0;
    return err->sys == EROFS ? read_only(d, err) : -1;
}

int
datadir_look_owners(const struct datadir *d, const struct privileges *who, struct err *err)
{
    for (size_t i = 0; i < SUBDIRS; i++) {
        struct stat st;

        if (fstatat(d->fd, subdirs[i].name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_uid != who->uid &&
            !(geteuid() == 0 && st.st_uid == 0 && holds_something(d->fd, &subdirs[i], err) == 0))
            return wrong_owner(d, subdirs[i].name, st.st_uid, who, err);
    }
    return 0;
}

/* A directory that is missing is made by the start, with root's rights if it has them, and an empty
 * one of root's is given to the user. */
static int
look_at_subdir(const struct datadir *d, const struct subdir *s, const struct privileges *who,
               struct err *err)
{
    bool roots = who->root && datadir_plan_roots_alone(d->fd);
    struct stat st;

    if (fstatat(d->fd, s->name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        return roots && st.st_uid == 0 ? 0 : can_use_subdir(d, s, who, err);
    if (errno != ENOENT)
        return err_errno(err, "cannot look at %s/%s", d->name, s->name);
    if (strchr(s->name, '/') != NULL || roots ||
        faccessat(d->fd, ".", W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return err_set(err, ERR_SYSTEM,
                   "%s can't make %s/%s: change the owner of %s, or choose another directory with "
                   "--dir",
                   who->user, d->name, s->name, d->name);
}

int
datadir_look(const struct datadir *d, const struct privileges *who, struct err *err)
{
    for (size_t i = 0; i < SUBDIRS; i++)
        if (look_at_subdir(d, &subdirs[i], who, err) < 0)
            return -1;
    if (check_ours(d, who, err) < 0)
        return -1;
    return has_name(d, "db") ? check_files(d, who, err) : 0;
}

/* ---- restoring ---- */

int
datadir_begin_restore(const struct datadir *d, struct err *err)
{
    int fd = openat(d->fd, RESTORING_NAME, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);

    if (fd < 0)
        return err_errno(err, "cannot make %s", RESTORING_NAME);
    fdio_close(fd);
    return fdio_fsync_dir(d->fd, "db", err);
}

int
datadir_end_restore(const struct datadir *d, const struct privileges *who, struct err *err)
{
    if (datadir_begin(d, who, err) != 0)
        return -1;
    if (unlinkat(d->fd, RESTORING_NAME, 0) != 0 && errno != ENOENT)
        return err_errno(err, "cannot remove %s", RESTORING_NAME);
    return 0;
}

/* ---- without the rest ---- */

int
datadir_open_auth(const struct datadir *d, bool make, const struct privileges *who, struct err *err)
{
    static const struct subdir auth = {"auth", 0700, {NULL}};
    struct stat st;

    if (!make) {
        if (fstatat(d->fd, auth.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
            return errno == ENOENT ? 0 : err_errno(err, "cannot look at %s/auth", d->name);
        return st.st_uid == who->uid ? 1 : wrong_owner(d, auth.name, st.st_uid, who, err);
    }
    return check_ours(d, who, err) < 0 || make_subdir(d, &auth, who, err) < 0 ? -1 : 1;
}

bool
datadir_is_served(const struct datadir *d)
{
    return datadir_lock_is_taken(d->fd);
}

int
datadir_check(const struct datadir *d, const struct privileges *who, struct err *err)
{
    int r = read_format(d, who, err);

    if (r == 0)
        return blame_lost_database(d, err) != 0 ? -1 : datadir_none(d->name, err);
    return r == 1 ? 0 : -1;
}

int
datadir_lock(struct datadir *d, const struct privileges *who, struct err *err)
{
    if (other_registry_backup(d->fd, d->name, err) != 0 || check_files(d, who, err) < 0)
        return -1;
    return datadir_lock_try(&d->lock, d->fd, d->name, true, err);
}

int
datadir_hold(struct datadir *d, struct err *err)
{
    return datadir_lock_try(&d->lock, d->fd, d->name, false, err);
}

/* ---- the whole, as its user ---- */

int
datadir_begin(const struct datadir *d, const struct privileges *who, struct err *err)
{
    static const char *const leftovers[] = {"run/nginx.pid", "run/master.pid", "run/herald.sock",
                                            "run/feed.sock", "run/control.sock"};
    int r;

    for (size_t i = 0; i < SUBDIRS; i++)
        if (can_use_subdir(d, &subdirs[i], who, err) < 0)
            return -1;
    disk_space_give(d->fd);
    for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++)
        unlinkat(d->fd, leftovers[i], 0);
    for (size_t i = 0; i < POOL_COUNT; i++) {
        char name[32];
        snprintf(name, sizeof name, "run/%s", pools[i].socket);
        unlinkat(d->fd, name, 0);
    }

    r = read_format(d, who, err);
    if (r != 0)
        return r < 0 ? -1 : 0;
    return datadir_write_format(d, FORMAT_NAME, err);
}

int
datadir_write_format(const struct datadir *d, const char *name, struct err *err)
{
    char text[64];
    int n = snprintf(text, sizeof text, "%s%u\n", FORMAT_TEXT, FORMAT);

    return fdio_replace_file(d->fd, name, 0600, bytes_of(text, (size_t)n), err);
}
