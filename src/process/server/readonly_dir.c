#include "process/server/readonly_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/size_text.h"

#define PREFIX "docker-registry-server-"

bool
readonly_dir_is(const struct datadir *d)
{
    struct statvfs fs;

    return fstatvfs(d->fd, &fs) == 0 && (fs.f_flag & ST_RDONLY) != 0 &&
           faccessat(d->fd, "db/format", F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* ---- names ---- */

static const char *
parent_directory(void)
{
    const char *tmp = getenv("TMPDIR");

    return tmp != NULL && tmp[0] == '/' ? tmp : "/tmp";
}

/* One for each data directory and user, so that the next start finds what a killed server left. */
static int
private_name(const struct datadir *d, char out[PATH_MAX], struct err *err)
{
    struct stat st;

    if (fstat(d->fd, &st) != 0)
        return err_errno(err, "cannot look at %s", d->name);
    snprintf(out, PATH_MAX, "%s/" PREFIX "%lu-%llx-%llx", parent_directory(),
             (unsigned long)geteuid(), (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    return 0;
}

/* ---- copying ---- */

/* The database makes its regions anew, and what else there is belongs to a server that writes. */
static bool
is_copied(const char *name)
{
    return name[0] != '.' && strncmp(name, "__db.0", 6) != 0 && strcmp(name, "lock") != 0 &&
           strcmp(name, "backup.lock") != 0 && strncmp(name, "reserve", 7) != 0;
}

static int
copy_one(int from, int to, const char *name, uint64_t size, struct err *err)
{
    int in = openat(from, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC), out, rc = 0;

    if (in < 0)
        return err_errno(err, "cannot read %s", name);
    out = openat(to, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (out < 0)
        rc = err_errno(err, "cannot make %s", name);
    else
        rc = fdio_append(out, 0, in, size, name, err);
    fdio_close(in);
    fdio_close(out);
    return rc;
}

/* Copies the files of a directory, or, with to < 0, adds up their sizes. */
static int
copy_files(int from, int to, uint64_t *sum, struct err *err)
{
    DIR *dir = fdio_opendir(from, ".", err);
    const struct dirent *e;
    struct stat st;
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (e = readdir(dir)) != NULL) {
        if (!is_copied(e->d_name) || fstatat(from, e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            !S_ISREG(st.st_mode))
            continue;
        *sum += (uint64_t)st.st_size;
        if (to >= 0)
            rc = copy_one(from, to, e->d_name, (uint64_t)st.st_size, err);
    }
    closedir(dir);
    return rc;
}

static int
check_copy_room(int db, int to, struct err *err)
{
    uint64_t size = 0, room = disk_space_free(to), margin = disk_space_margin(to);
    char copy[SIZE_TEXT_MAX], work[SIZE_TEXT_MAX];

    if (copy_files(db, -1, &size, err) != 0)
        return -1;
    if (room >= margin && room - margin >= size)
        return 0;
    size_text(copy, size);
    size_text(work, margin);
    return err_set(err, ERR_NO_SPACE,
                   "the file system is read-only, and %s has no room for a copy of the database "
                   "(%s, and %s to work): set TMPDIR",
                   parent_directory(), copy, work);
}

static int
copy_directory(const struct datadir *d, int to, const char *name, bool checked, struct err *err)
{
    const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    int in = openat(d->fd, name, flags), out = -1, rc = 0;
    uint64_t sum = 0;

    if (in < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot read %s/%s", d->name, name);
    if (checked)
        rc = check_copy_room(in, to, err);
    if (rc == 0 && fdio_mkdir(to, name, 0700, err) < 0)
        rc = -1;
    if (rc == 0 && (out = openat(to, name, flags)) < 0)
        rc = err_errno(err, "cannot open the copy of %s", name);
    if (rc == 0)
        rc = copy_files(in, out, &sum, err);
    fdio_close(in);
    fdio_close(out);
    return rc;
}

/* Links each entry of a directory of the original. */
static int
link_entries(const struct datadir *d, const char *full, int to, const char *name, struct err *err)
{
    char target[PATH_MAX], link[PATH_MAX];
    const struct dirent *e;
    struct err ignored;
    DIR *dir;
    int rc = 0;

    if (fdio_mkdir(to, name, 0750, err) < 0)
        return -1;
    dir = fdio_opendir(d->fd, name, &ignored);
    if (dir == NULL)
        return errno == ENOENT ? 0 : err_errno(err, "cannot read %s/%s", d->name, name);
    while (rc == 0 && (e = readdir(dir)) != NULL) {
        if (e->d_name[0] == '.')
            continue;
        if (snprintf(target, sizeof target, "%s/%s/%s", full, name, e->d_name) >= PATH_MAX ||
            snprintf(link, sizeof link, "%s/%s", name, e->d_name) >= PATH_MAX)
            rc = err_set(err, ERR_SYSTEM, "%s: name too long", d->name);
        else if (faccessat(AT_FDCWD, target, R_OK | X_OK, AT_EACCESS) != 0)
            rc = err_errno(err, "cannot read %s", target);
        else if (symlinkat(target, to, link) != 0)
            rc = err_errno(err, "cannot make a link to %s", target);
    }
    closedir(dir);
    return rc;
}

/* ---- the whole ---- */

static int
fill_directory(const struct datadir *d, int to, struct err *err)
{
    static const char *const linked[] = {"layers/sha256", "layers/sha512", "index"};
    char full[PATH_MAX], self[40];
    ssize_t n;

    snprintf(self, sizeof self, "/proc/self/fd/%d", d->fd);
    n = readlink(self, full, sizeof full - 1);
    if (n < 0)
        return err_errno(err, "cannot find the name of %s", d->name);
    full[n] = '\0';
    if (copy_directory(d, to, "db", true, err) != 0 ||
        copy_directory(d, to, "auth", false, err) != 0 || fdio_mkdir(to, "layers", 0750, err) < 0)
        return -1;
    for (size_t i = 0; i < sizeof linked / sizeof *linked; i++)
        if (link_entries(d, full, to, linked[i], err) != 0)
            return -1;
    return 0;
}

/* The processes of a killed server don't end at the same instant. */
#define LOCK_WAIT_MS 1000

/* A server on the real directory, or another one on its copy? */
static int
check_unused(const struct datadir *d, int fd, int *lock, struct err *err)
{
    const uint64_t end = clock_mono_ms() + LOCK_WAIT_MS;
    int rc;

    *lock = openat(fd, "db/lock", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (*lock < 0)
        return 0;
    while ((rc = flock(*lock, LOCK_EX | LOCK_NB)) != 0 && errno == EWOULDBLOCK &&
           clock_mono_ms() < end)
        clock_sleep_ms(10);
    if (rc == 0 || errno != EWOULDBLOCK)
        return 0;
    fdio_close(*lock);
    *lock = -1;
    return err_set(err, ERR_BUSY, "%s is in use by another server: stop that one first", d->name);
}

static int
make_private(const struct datadir *d, const char *path, struct err *err)
{
    int fd, lock, rc;
    struct stat st;

    if (lstat(path, &st) == 0) {
        fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) != 0 || st.st_uid != geteuid()) {
            fdio_close(fd);
            return err_set(err, ERR_SYSTEM, "%s belongs to somebody else: set TMPDIR", path);
        }
        rc = check_unused(d, fd, &lock, err);
        fdio_close(lock);
        fdio_close(fd);
        if (rc != 0 || fdio_remove_tree(AT_FDCWD, path, err) != 0)
            return -1;
    }
    if (mkdir(path, 0700) != 0)
        return err_errno(err, "cannot make %s, which is needed since %s is read-only", path,
                         d->name);
    fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return fd >= 0 ? fd : err_errno(err, "cannot open %s", path);
}

int
readonly_dir_open(struct datadir *d, const struct privileges *who, int *original, struct err *err)
{
    char path[PATH_MAX];
    struct err ignored;
    int fd, rc;

    *original = -1;
    if (faccessat(d->fd, "db/format", R_OK, AT_EACCESS) != 0)
        return err_set(err, ERR_SYSTEM,
                       "%s is on a file system that is mounted read-only, and %s can't read the "
                       "registry there: start it as its user, or with --run-as",
                       d->name, who->user);
    if (datadir_check(d, who, err) != 0 || check_unused(d, d->fd, original, err) != 0 ||
        private_name(d, path, err) != 0)
        return -1;
    fd = make_private(d, path, err);
    if (fd < 0)
        return -1;
    rc = fill_directory(d, fd, err);
    if (rc == 0 && fchdir(fd) != 0)
        rc = err_errno(err, "cannot enter %s", path);
    if (rc != 0) {
        fdio_close(fd);
        fdio_remove_tree(AT_FDCWD, path, &ignored);
        return -1;
    }
    fdio_close(d->fd);
    d->fd = fd;
    log_line(LOG_WARN, "the data directory is read-only: serving pulls from a copy of db/",
             "dir=%s copy=%s", d->name, path);
    return 0;
}

void
readonly_dir_remove(const struct datadir *d)
{
    char link[40], path[PATH_MAX];
    struct err err;
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", d->fd);
    n = readlink(link, path, sizeof path - 1);
    if (n <= 0)
        return;
    path[n] = '\0';
    if (chdir("/") != 0 || fdio_remove_tree(AT_FDCWD, path, &err) != 0)
        log_line(LOG_WARN, "the copy of db/ stays", "dir=%s", path);
}
