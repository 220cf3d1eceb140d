#include "storage/files/upload_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/body_dir.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"

#define UPLOADS "uploads/"
#define BODIES "uploads/body/"
#define DATA "data"
#define PATH_ROOM 192

/* A request waits at most this long for another request to the same upload. */
#define LOCK_WAIT_MS 20000

static int
lock_upload(int fd, const char *path, struct err *err)
{
    uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;

    while (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR)
            return err_errno(err, "lock %s", path);
        if (clock_mono_ms() > until)
            return err_set(err, ERR_BUSY, "another request to this upload is still running");
        clock_sleep_ms(10);
    }
    return 0;
}

int
upload_dir_open(int root, const char *id, struct upload_dir *u, struct err *err)
{
    char path[PATH_ROOM];
    struct stat st;

    u->fd = -1;
    snprintf(path, sizeof path, UPLOADS "%s", id);
    for (;;) {
        if (fdio_mkdir(root, path, 0700, err) < 0)
            return -1;
        u->fd = openat(root, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (u->fd < 0) {
            if (errno == ENOENT)
                continue;
            return err_errno(err, "open %s", path);
        }
        if (lock_upload(u->fd, path, err) != 0) {
            upload_dir_close(u);
            return -1;
        }
        if (fstat(u->fd, &st) != 0) {
            upload_dir_close(u);
            return err_errno(err, "stat %s", path);
        }
        if (st.st_nlink > 0)
            return 0;
        /* It was removed while we waited, and has no name any more. */
        upload_dir_close(u);
    }
}

void
upload_dir_close(struct upload_dir *u)
{
    fdio_close(u->fd);
    u->fd = -1;
}

int
upload_dir_size(int root, const char *id, uint64_t *size, struct err *err)
{
    char path[PATH_ROOM];
    struct stat st;

    *size = 0;
    snprintf(path, sizeof path, UPLOADS "%s/" DATA, id);
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *size = (uint64_t)st.st_size;
    else if (errno != ENOENT)
        return err_errno(err, "stat %s", path);
    return 0;
}

/* The part behind the last uploads/body/ in nginx's name, if it has only digits and single slashes;
 * else NULL. */
static const char *
find_body_name(const char *body_file)
{
    const char *name = NULL;

    for (const char *at = body_file; (at = strstr(at, BODIES)) != NULL; at = name)
        name = at + strlen(BODIES);
    if (name == NULL)
        return NULL;
    if (strncmp(name, "./", 2) == 0)
        name += 2; /* as conf/blocks.conf spells it for uploads */
    for (const char *p = name; *p != '\0'; p++)
        if (!(*p >= '0' && *p <= '9') && !(*p == '/' && p > name && p[-1] != '/' && p[1] != '\0'))
            return NULL;
    return *name != '\0' ? name : NULL;
}

/* Opens the body and checks that nginx wrote it: a regular file of our user, with this one name, as
 * long as announced. */
static int
open_body_file(int root, const char *body_file, uint64_t size, char path[PATH_ROOM],
               struct err *err)
{
    const char *name = find_body_name(body_file);
    struct stat st;
    int fd;

    if (name == NULL)
        return err_set(err, ERR_SYSTEM, "nginx named a body file outside of " BODIES ": %s",
                       body_file);
    if (snprintf(path, PATH_ROOM, BODIES "%s", name) >= PATH_ROOM)
        return err_set(err, ERR_SYSTEM, "nginx named a body file with too long a name: %s", name);
    fd = openat(root, path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return body_dir_explain(root, path, body_file, err);
    if (fstat(fd, &st) != 0) {
        fdio_close(fd);
        return err_errno(err, "stat %s", path);
    }
    if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || st.st_nlink > 1) {
        fdio_close(fd);
        return err_set(err, ERR_SYSTEM,
                       "%s is not a body file that nginx wrote: nginx must run as user %ld", path,
                       (long)geteuid());
    }
    if ((uint64_t)st.st_size != size) {
        fdio_close(fd);
        return err_set(err, ERR_BAD_SIZE, "%llu bytes were announced, but %llu were sent",
                       (unsigned long long)size, (unsigned long long)st.st_size);
    }
    return fd;
}

/* Appends to the data, which no other process changes: the directory is locked. */
static int
append_to_upload(const struct upload_dir *u, int body, uint64_t size, uint64_t *total,
                 struct err *err)
{
    struct stat st;
    int fd, rc;

    if (fstatat(u->fd, DATA, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_errno(err, "stat an upload's data");
    if ((st.st_mode & S_IWUSR) == 0)
        return err_set(err, ERR_BAD_RANGE,
                       "this upload is closed: its blob is already in the registry");
    fd = openat(u->fd, DATA, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "open an upload's data");
    rc = fdio_append(fd, (uint64_t)st.st_size, body, size, "an upload's data", err);
    if (rc != 0 && ftruncate(fd, st.st_size) != 0)
        log_line(LOG_ERROR, "an upload's data can't be cut back", "errno=%d", errno);
    *total = (uint64_t)st.st_size + (rc == 0 ? size : 0);
    fdio_close(fd);
    return rc;
}

int
upload_dir_append(int root, struct upload_dir *u, const char *body_file, uint64_t size,
                  uint64_t *total, struct err *err)
{
    char path[PATH_ROOM];
    int body = open_body_file(root, body_file, size, path, err), rc = 0;

    if (body < 0)
        return -1;
    if (linkat(root, path, u->fd, DATA, 0) == 0)
        *total = size;
    else if (errno == EEXIST)
        rc = append_to_upload(u, body, size, total, err);
    else
        rc = body_dir_explain(root, path, body_file, err);
    fdio_close(body);
    return rc;
}

int
upload_dir_open_body(int root, const char *body_file, uint64_t size, struct err *err)
{
    char path[PATH_ROOM];

    return open_body_file(root, body_file, size, path, err);
}

int
upload_dir_rewind(struct upload_dir *u, uint64_t size, struct err *err)
{
    struct stat st;
    int fd, rc = 0;

    if (fstatat(u->fd, DATA, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "stat an upload's data");
    if (size == 0)
        return unlinkat(u->fd, DATA, 0) != 0 ? err_errno(err, "unlink an upload's data") : 0;
    if ((st.st_mode & S_IWUSR) == 0)
        return 0;
    fd = openat(u->fd, DATA, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        rc = err_errno(err, "cut back an upload's data");
    fdio_close(fd);
    return rc;
}

int
upload_dir_data(struct upload_dir *u, struct err *err)
{
    int fd = openat(u->fd, DATA, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT)
        fd = openat(u->fd, DATA, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "open an upload's data");
    return fd;
}

int
upload_dir_remove(int root, const char *id, struct err *err)
{
    char path[PATH_ROOM];

    snprintf(path, sizeof path, UPLOADS "%s", id);
    return fdio_remove_tree(root, path, err);
}

int
upload_dir_each(int root, int (*fn)(const char *id, uint64_t changed, void *arg, struct err *err),
                void *arg, struct err *err)
{
    DIR *dir = fdio_opendir(root, UPLOADS, err);
    struct dirent *de;
    struct stat st;
    char data[NAME_MAX + sizeof "/" DATA];
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (de = readdir(dir)) != NULL) {
        if (de->d_name[0] == '.' || strcmp(de->d_name, "body") == 0 ||
            strlen(de->d_name) >= PATH_ROOM)
            continue;
        snprintf(data, sizeof data, "%s/" DATA, de->d_name);
        if (fstatat(dirfd(dir), data, &st, AT_SYMLINK_NOFOLLOW) != 0 &&
            fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        rc = fn(de->d_name,
                (uint64_t)st.st_mtim.tv_sec * 1000 + (uint64_t)st.st_mtim.tv_nsec / 1000000, arg,
                err);
    }
    closedir(dir);
    return rc < 0 ? -1 : 0;
}

static void
remove_unused_body(int dir, const char *name)
{
    int fd = openat(dir, name, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

    if (fd >= 0 && fdio_in_use(fd) == 0)
        unlinkat(dir, name, 0);
    fdio_close(fd);
}

static bool
is_body_directory(int dir, const char *name)
{
    struct stat st;

    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode);
}

/* nginx's names have ten digits, or more. */
static bool
is_body_name(const char *name)
{
    size_t digits = strspn(name, "0123456789");

    return digits >= 10 && name[digits] == '\0';
}

/* below: the levels of directories under it. nginx makes two (client_body_temp_path … 1 2), but not
 * for uploads, whose bodies are in the first one. */
static int
sweep_body_level(int root, const char *path, int below, size_t *n, struct err *err)
{
    DIR *dir = fdio_opendir(root, path, err);
    struct dirent *de;
    char sub[PATH_ROOM];
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (de = readdir(dir)) != NULL) {
        if (de->d_name[0] == '.')
            continue;
        if (below == 0 || is_body_name(de->d_name)) {
            remove_unused_body(dirfd(dir), de->d_name);
            ++*n;
        } else if (is_body_directory(dirfd(dir), de->d_name) &&
                   snprintf(sub, sizeof sub, "%s/%s", path, de->d_name) < PATH_ROOM) {
            rc = sweep_body_level(root, sub, below - 1, n, err);
        }
    }
    closedir(dir);
    return rc;
}

int
upload_dir_sweep_bodies(int root, size_t *n, struct err *err)
{
    *n = 0;
    return sweep_body_level(root, "uploads/body", 2, n, err);
}
