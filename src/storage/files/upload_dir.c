#include "storage/files/upload_dir.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/body_dir.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/pack.h"

#define UPLOADS "uploads/"
#define BODIES "uploads/body/"
#define OLD_DATA "data"
#define OLD_MARK ".old"
#define UPLOAD_NAME_ROOM 64
#define LOCKS "run/upload-locks"

/* A request waits at most this long for another request to the same upload. */
#define LOCK_WAIT_MS 20000

/* ---- the lock ---- */

/* The byte of the lock file that stands for the upload. Two uploads that share one only wait for
 * each other. */
static off_t
lock_place(const char *id)
{
    uint8_t b[8];
    size_t digits = 2 * sizeof b;

    if (strlen(id) < digits || !hex_decode(b, sizeof b, id, digits))
        return 0;
    return (off_t)(unpack_uint_at(b, sizeof b) >> 2);
}

/* 1: locked; 0: another request has it; -1. */
static int
try_lock_upload(int fd, const char *id, struct err *err)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_len = 1};

    lock.l_start = lock_place(id);
    if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
        return 1;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR)
        return err_errno(err, "lock upload %s in " LOCKS, id);
    return 0;
}

int
upload_dir_try_open(int root, const char *id, struct upload_dir *u, struct err *err)
{
    int rc;

    u->root = root;
    snprintf(u->path, sizeof u->path, UPLOADS "%s", id);
    u->lock = openat(root, LOCKS, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (u->lock < 0)
        return err_errno(err, "open " LOCKS);
    rc = try_lock_upload(u->lock, id, err);
    if (rc != 1)
        upload_dir_close(u);
    return rc;
}

int
upload_dir_open(int root, const char *id, struct upload_dir *u, struct err *err)
{
    uint64_t until = clock_mono_ms() + LOCK_WAIT_MS;
    int rc;

    while ((rc = upload_dir_try_open(root, id, u, err)) == 0) {
        if (clock_mono_ms() > until)
            return err_set(err, ERR_BUSY, "another request to this upload is still running");
        clock_sleep_ms(10);
    }
    return rc == 1 ? 0 : -1;
}

void
upload_dir_close(struct upload_dir *u)
{
    fdio_close(u->lock);
    u->lock = -1;
}

/* ---- the bytes ---- */

int
upload_dir_size(int root, const char *id, uint64_t *size, struct err *err)
{
    char path[UPLOAD_DIR_PATH_MAX];
    struct stat st;

    *size = 0;
    snprintf(path, sizeof path, UPLOADS "%s", id);
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *size = (uint64_t)st.st_size;
    else if (errno != ENOENT)
        return err_errno(err, "stat %s", path);
    return 0;
}

static uint64_t
change_of_file(const struct stat *st)
{
    return (uint64_t)st->st_mtim.tv_sec * 1000 + (uint64_t)st->st_mtim.tv_nsec / 1000000;
}

int
upload_dir_changed(int root, const char *id, uint64_t *ms, struct err *err)
{
    char path[UPLOAD_DIR_PATH_MAX];
    struct stat st;

    *ms = 0;
    snprintf(path, sizeof path, UPLOADS "%s", id);
    if (fstatat(root, path, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *ms = change_of_file(&st);
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
open_body_file(int root, const char *body_file, uint64_t size, char path[UPLOAD_DIR_PATH_MAX],
               struct err *err)
{
    const char *name = find_body_name(body_file);
    struct stat st;
    int fd;

    if (name == NULL)
        return err_set(err, ERR_SYSTEM, "nginx named a body file outside of " BODIES ": %s",
                       body_file);
    if (snprintf(path, UPLOAD_DIR_PATH_MAX, BODIES "%s", name) >= UPLOAD_DIR_PATH_MAX)
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

/* Appends to the data, which no other process changes: the upload is locked. */
static int
append_to_upload(const struct upload_dir *u, int body, uint64_t size, uint64_t *total,
                 struct err *err)
{
    struct stat st;
    int fd, rc;

    if (fstatat(u->root, u->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return err_errno(err, "stat an upload's data");
    if ((st.st_mode & S_IWUSR) == 0)
        return err_set(err, ERR_BAD_RANGE,
                       "this upload is closed: its blob is already in the registry");
    fd = openat(u->root, u->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return err_errno(err, "open an upload's data");
    rc = fdio_append(fd, (uint64_t)st.st_size, body, size, "an upload's data", err);
    if (rc != 0 && ftruncate(fd, st.st_size) != 0)
        log_line(LOG_ERROR, "an upload's data can't be cut back", "errno=%d", errno);
    *total = (uint64_t)st.st_size + (rc == 0 ? size : 0);
    fdio_close(fd);
    return rc;
}

/* An empty file that only has a time makes room (upload_dir_set_changed). 0, -1 and errno. */
static int
link_body(const struct upload_dir *u, const char *path)
{
    struct stat st;

    if (linkat(u->root, path, u->root, u->path, 0) == 0)
        return 0;
    if (errno != EEXIST)
        return -1;
    if (fstatat(u->root, u->path, &st, AT_SYMLINK_NOFOLLOW) != 0 || st.st_size > 0 ||
        (st.st_mode & S_IWUSR) == 0 || unlinkat(u->root, u->path, 0) != 0) {
        errno = EEXIST;
        return -1;
    }
    return linkat(u->root, path, u->root, u->path, 0);
}

int
upload_dir_append(struct upload_dir *u, const char *body_file, uint64_t size, uint64_t *total,
                  struct err *err)
{
    char path[UPLOAD_DIR_PATH_MAX];
    int body = open_body_file(u->root, body_file, size, path, err), rc = 0;

    if (body < 0)
        return -1;
    if (link_body(u, path) == 0)
        *total = size;
    else if (errno == EEXIST)
        rc = append_to_upload(u, body, size, total, err);
    else
        rc = body_dir_explain(u->root, path, body_file, err);
    fdio_close(body);
    return rc;
}

int
upload_dir_open_body(int root, const char *body_file, uint64_t size, struct err *err)
{
    char path[UPLOAD_DIR_PATH_MAX];

    return open_body_file(root, body_file, size, path, err);
}

int
upload_dir_rewind(struct upload_dir *u, uint64_t size, struct err *err)
{
    struct stat st;
    int fd, rc = 0;

    if (fstatat(u->root, u->path, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? 0 : err_errno(err, "stat an upload's data");
    if (size == 0)
        return unlinkat(u->root, u->path, 0) != 0 ? err_errno(err, "unlink an upload's data") : 0;
    if ((st.st_mode & S_IWUSR) == 0)
        return 0;
    fd = openat(u->root, u->path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || ftruncate(fd, (off_t)size) != 0)
        rc = err_errno(err, "cut back an upload's data");
    fdio_close(fd);
    return rc;
}

int
upload_dir_data(struct upload_dir *u, struct err *err)
{
    int fd = openat(u->root, u->path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0 && errno == ENOENT)
        fd = openat(u->root, u->path, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return err_errno(err, "open an upload's data");
    return fd;
}

int
upload_dir_set_changed(struct upload_dir *u, uint64_t ms, struct err *err)
{
    struct timespec at = {.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
    int fd = upload_dir_data(u, err), rc = 0;
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0)
        rc = err_errno(err, "stat an upload's data");
    /* A sweep judges the file of a blob by that time. */
    else if (((st.st_mode & S_IWUSR) != 0 || st.st_nlink == 1) &&
             futimens(fd, (struct timespec[]){at, at}) != 0)
        rc = err_errno(err, "set the time of an upload's data");
    fdio_close(fd);
    return rc;
}

int
upload_dir_remove(int root, const char *id, struct err *err)
{
    char path[UPLOAD_DIR_PATH_MAX];

    snprintf(path, sizeof path, UPLOADS "%s", id);
    if (unlinkat(root, path, 0) == 0 || errno == ENOENT)
        return 0;
    return errno == EISDIR ? fdio_remove_tree(root, path, err) : err_errno(err, "remove %s", path);
}

/* ---- all uploads ---- */

/* Is it the name of an upload, and not of something else? */
static bool
is_upload_name(const char *name)
{
    return name[0] != '.' && strcmp(name, "body") != 0 && strlen(name) < UPLOAD_NAME_ROOM;
}

int
upload_dir_each(int root, int (*fn)(const char *id, uint64_t changed, void *arg, struct err *err),
                void *arg, struct err *err)
{
    DIR *dir = fdio_opendir(root, UPLOADS, err);
    struct dirent *de;
    struct stat st;
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (de = readdir(dir)) != NULL) {
        if (!is_upload_name(de->d_name) ||
            fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        rc = fn(de->d_name, change_of_file(&st), arg, err);
    }
    closedir(dir);
    return rc < 0 ? -1 : 0;
}

/* ---- directories of earlier programs ---- */

/* Has `name` the form of an id, perhaps with OLD_MARK behind it? */
static bool
take_old_id(const char *name, char id[UPLOAD_NAME_ROOM])
{
    uint8_t secret[16];
    size_t digits = 2 * sizeof secret, n = strlen(name);

    if (n < digits || (n > digits && strcmp(name + digits, OLD_MARK) != 0) ||
        !hex_decode(secret, sizeof secret, name, digits))
        return false;
    snprintf(id, UPLOAD_NAME_ROOM, "%.*s", (int)digits, name);
    return true;
}

/* Moves the data away, removes the directory, and gives the data its name. A crash leaves a name
 * with OLD_MARK behind the id, which the next start finds. */
static int
replace_old_directory(int uploads, const char *id, struct err *err)
{
    char data[UPLOAD_NAME_ROOM + sizeof "/" OLD_DATA], away[UPLOAD_NAME_ROOM + sizeof OLD_MARK];

    snprintf(data, sizeof data, "%s/" OLD_DATA, id);
    snprintf(away, sizeof away, "%s" OLD_MARK, id);
    if (renameat(uploads, data, uploads, away) != 0 && errno != ENOENT)
        return err_errno(err, "rename " UPLOADS "%s", data);
    if (fdio_remove_tree(uploads, id, err) != 0)
        return -1;
    if (renameat(uploads, away, uploads, id) != 0 && errno != ENOENT)
        return err_errno(err, "rename " UPLOADS "%s", away);
    return 0;
}

int
upload_dir_prepare(int root, struct err *err)
{
    DIR *dir = fdio_opendir(root, UPLOADS, err);
    char id[UPLOAD_NAME_ROOM];
    struct dirent *de;
    struct stat st;
    int rc = 0;

    if (dir == NULL)
        return -1;
    while (rc == 0 && (de = readdir(dir)) != NULL) {
        if (!take_old_id(de->d_name, id) ||
            fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        if (S_ISDIR(st.st_mode) || strcmp(de->d_name, id) != 0)
            rc = replace_old_directory(dirfd(dir), id, err);
    }
    closedir(dir);
    return rc;
}

/* ---- bodies ---- */

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
    char sub[UPLOAD_DIR_PATH_MAX];
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
                   snprintf(sub, sizeof sub, "%s/%s", path, de->d_name) < UPLOAD_DIR_PATH_MAX) {
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
