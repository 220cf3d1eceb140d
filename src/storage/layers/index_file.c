#include "storage/layers/index_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/layers/sorted_format.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/log.h"
#include "util/random.h"

#define INDEX "index"

void
index_file_path(char out[INDEX_FILE_PATH_MAX], const struct digest *layer)
{
    char path[DIGEST_PATH_MAX];

    digest_path(path, layer);
    snprintf(out, INDEX_FILE_PATH_MAX, INDEX "/%s", path);
}

/* ---- reading ---- */

/* Removes the file of that name, unless another file has taken its place. */
static void
remove_damaged_file(int root, const struct stat *damaged, const char *path)
{
    struct stat there;

    if (fstatat(root, path, &there, AT_SYMLINK_NOFOLLOW) == 0 && damaged->st_dev == there.st_dev &&
        damaged->st_ino == there.st_ino)
        unlinkat(root, path, 0);
}

int
index_file_take(int fd, const struct digest *layer, struct layer_index **x, struct err *err)
{
    *x = layer_index_open(fd, err);
    if (*x == NULL) {
        fdio_close(fd);
        return err->code == ERR_CORRUPT || err->code == ERR_UNSUPPORTED ? 0 : -1;
    }
    if (digest_equal(&layer_index_info(*x)->layer, layer))
        return 1;
    layer_index_close(*x);
    *x = NULL;
    err_set(err, ERR_CORRUPT, "the index belongs to another layer");
    return 0;
}

int
index_file_open(int root, const struct digest *layer, struct layer_index **x, struct err *err)
{
    char path[INDEX_FILE_PATH_MAX];
    struct stat st;
    int fd, rc;

    *x = NULL;
    index_file_path(path, layer);
    fd = openat(root, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "open %s", path);
    if (fstat(fd, &st) != 0) {
        err_errno(err, "cannot stat %s", path);
        fdio_close(fd);
        return -1;
    }
    rc = index_file_take(fd, layer, x, err);
    if (rc == 0 && err->code != ERR_UNSUPPORTED) {
        log_line(LOG_WARN, "an index is made again", "file=%s why=%s", path, err->message);
        remove_damaged_file(root, &st, path);
    }
    return rc;
}

int
index_file_info_of(int fd, const struct digest *layer, struct layer_info *info, struct err *err)
{
    struct layer_index *x;
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0), rc;

    if (copy < 0)
        return err_errno(err, "cannot open an index");
    rc = index_file_take(copy, layer, &x, err);
    if (rc == 1) {
        *info = *layer_index_info(x);
        layer_index_close(x);
    }
    return rc;
}

/* ---- writing ---- */

int
index_file_check(int root, struct err *err)
{
    struct err ignored;

    if (fdio_check_dir(root, INDEX, err) == 0)
        return 0;
    /* A missing directory is made again. */
    return err->sys == ENOENT && fdio_check_dir(root, ".", &ignored) == 0 ? 0 : -1;
}

int
index_file_create(int root, struct err *err)
{
    int fd = -1;

    /* The file has no name yet, so that a process that dies leaves nothing behind, and index/ may
     * be deleted meanwhile. */
    for (int i = 0; i < 2 && fd < 0; i++) {
        fd = openat(root, INDEX, O_TMPFILE | O_RDWR | O_CLOEXEC, 0640);
        if (fd < 0 && errno == ENOENT && fdio_mkdir(root, INDEX, 0750, err) < 0)
            return -1;
    }
    return fd >= 0 ? fd : err_errno(err, "cannot create a file in " INDEX "/");
}

static int
make_directories(int root, const char *path, struct err *err)
{
    char part[INDEX_FILE_PATH_MAX];

    for (const char *slash = strchr(path, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        snprintf(part, sizeof part, "%.*s", (int)(slash - path), path);
        if (fdio_mkdir(root, part, 0750, err) < 0)
            return -1;
    }
    return 0;
}

/* Copies all of the file to a new one of that name. */
static int
copy_index(int root, int fd, const char *name, struct err *err)
{
    struct stat st;
    int to = openat(root, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0640), rc;

    if (to < 0 || fstat(fd, &st) != 0) {
        err_errno(err, "cannot create %s", name);
        fdio_close(to);
        return -1;
    }
    rc = fdio_append(to, 0, fd, (uint64_t)st.st_size, name, err);
    if (rc == 0)
        rc = fdio_fsync(to, name, err);
    if (close(to) != 0 && rc == 0)
        rc = err_errno(err, "cannot write %s", name);
    if (rc != 0)
        unlinkat(root, name, 0);
    return rc;
}

static int
publish_by_copy(int root, int fd, const char *path, struct err *err)
{
    char name[32];

    snprintf(name, sizeof name, "tmp/%016llx", (unsigned long long)random_u64());
    if (make_directories(root, path, err) != 0 || copy_index(root, fd, name, err) != 0)
        return -1;
    if (renameat(root, name, root, path) == 0)
        return 0;
    err_errno(err, "cannot rename %s to %s", name, path);
    unlinkat(root, name, 0);
    return -1;
}

int
index_file_publish(int root, int fd, const struct digest *layer, struct err *err)
{
    char path[INDEX_FILE_PATH_MAX], self[32];

    index_file_path(path, layer);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    /* The directories may be deleted between two steps, so try again. */
    for (int i = 0; i < 3; i++) {
        if (linkat(AT_FDCWD, self, root, path, AT_SYMLINK_FOLLOW) == 0 || errno == EEXIST)
            return 0;
        if (errno == EXDEV || errno == EPERM || errno == EOPNOTSUPP)
            return publish_by_copy(root, fd, path, err);
        if (errno != ENOENT)
            break;
        if (make_directories(root, path, err) != 0)
            return -1;
        errno = ENOENT;
    }
    return err_errno(err, "cannot link %s", path);
}

int
index_file_refuse(int root, const struct layer_info *info, struct err *err)
{
    struct layer_info refused = *info;
    struct layer_index_writer *w = NULL;
    int fd = index_file_create(root, err), rc = -1;

    if (fd < 0)
        return -1;
    refused.browsable = false;
    w = layer_index_create(fd);
    if (layer_index_put_info(w, &refused, err) == 0)
        rc = layer_index_finish(w, err);
    layer_index_free(w);
    if (rc == 0)
        return fd;
    fdio_close(fd);
    return -1;
}

int
index_file_remove(int root, const struct digest *layer, struct err *err)
{
    char path[INDEX_FILE_PATH_MAX];

    index_file_path(path, layer);
    if (unlinkat(root, path, 0) != 0 && errno != ENOENT)
        return err_errno(err, "unlink %s", path);
    return 0;
}

/* ---- the sweep ---- */

int
index_file_each(int root, unsigned directory,
                int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                struct err *err)
{
    char part[DIGEST_PATH_MAX], name[INDEX_FILE_PATH_MAX];
    struct digest layer = {.algo = digest_directory(part, directory)};
    struct dirent *de;
    DIR *dir;
    int rc = 0;

    snprintf(name, sizeof name, INDEX "/%s", part);
    dir = fdio_opendir(root, name, err);
    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    while (rc == 0 && (de = readdir(dir)) != NULL)
        if (hex_decode(layer.bytes, digest_size(layer.algo), de->d_name, strlen(de->d_name)))
            rc = fn(&layer, arg, err);
    closedir(dir);
    return rc < 0 ? -1 : 0;
}

/* ---- for a check ---- */

bool
index_file_exists(int root, const struct digest *layer)
{
    char path[INDEX_FILE_PATH_MAX];

    index_file_path(path, layer);
    return faccessat(root, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

int
index_file_examine(int fd, const struct digest *layer, struct err *err)
{
    uint8_t head[SORTED_FORMAT_VERSION_END];
    struct layer_index *x;
    bool older = fdio_read_at(fd, head, sizeof head, 0) == (ssize_t)sizeof head &&
                 sorted_format_is_older(head);
    int rc = index_file_take(fd, layer, &x, err);

    if (rc != 1)
        return older || err->code == ERR_UNSUPPORTED ? 1 : -1;
    rc = layer_index_check(x, err) == 0 ? 1 : -1;
    layer_index_close(x);
    return rc;
}
