#include "util/fdio.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "util/mem.h"
#include "util/random.h"

#define BLOCK_SIZE 65536
/* Bytes of one copy_file_range: enough for speed, few enough that a signal is noticed soon. */
#define COPY_SIZE ((uint64_t)64 << 20)

void
fdio_close_others(const int *keep, size_t n)
{
    unsigned next = STDERR_FILENO + 1, end;

    do {
        end = ~0u; /* the next one that is kept, if there is one */
        for (size_t i = 0; i < n; i++)
            if (keep[i] >= 0 && (unsigned)keep[i] >= next && (unsigned)keep[i] < end)
                end = (unsigned)keep[i];
        if (end > next)
            close_range(next, end == ~0u ? end : end - 1, 0);
        next = end + 1;
    } while (end != ~0u);
}

void
fdio_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;

        close(fd);
        errno = saved;
    }
}

/* Writes all n bytes: at the file's position, or at `at` when that isn't negative. 0, or -1 and
 * errno.
 */
static int
write_fully(int fd, const void *p, size_t n, off_t at)
{
    const char *from = p;

    while (n > 0) {
        ssize_t done = at >= 0 ? pwrite(fd, from, n, at) : write(fd, from, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0) {
            errno = done < 0 ? errno : EIO;
            return -1;
        }
        from += done;
        n -= (size_t)done;
        at += at >= 0 ? done : 0;
    }
    return 0;
}

int
fdio_write_all(int fd, const void *p, size_t n, const char *what, struct err *err)
{
    return write_fully(fd, p, n, -1) == 0 ? 0 : err_errno(err, "cannot write %s", what);
}

int
fdio_write_at(int fd, const void *p, size_t n, uint64_t at, const char *what, struct err *err)
{
    return write_fully(fd, p, n, (off_t)at) == 0 ? 0 : err_errno(err, "cannot write %s", what);
}

ssize_t
fdio_read_at(int fd, void *p, size_t n, uint64_t at)
{
    size_t done = 0;

    while (done < n) {
        ssize_t got = pread(fd, (char *)p + done, n - done, (off_t)(at + done));

        if (got == 0)
            break;
        if (got < 0 && errno != EINTR)
            return -1;
        done += got > 0 ? (size_t)got : 0;
    }
    return (ssize_t)done;
}

int
fdio_fsync(int fd, const char *what, struct err *err)
{
    while (fsync(fd) < 0)
        if (errno != EINTR) {
            err_errno(err, "cannot sync %s", what);
            err->code = ERR_UNSYNCED;
            return -1;
        }
    return 0;
}

int
fdio_fsync_dir(int dirfd, const char *name, struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC), rc;

    if (fd < 0)
        return err_errno(err, "cannot open directory %s", name);
    rc = fdio_fsync(fd, name, err);
    fdio_close(fd);
    return rc;
}

size_t
fdio_raise_limit(size_t n)
{
    struct rlimit l;

    if (getrlimit(RLIMIT_NOFILE, &l) < 0)
        return 0;
    if (l.rlim_cur < n) {
        l.rlim_cur = l.rlim_max < n ? l.rlim_max : n;
        setrlimit(RLIMIT_NOFILE, &l);
    }
    return l.rlim_cur > n ? n : (size_t)l.rlim_cur;
}

int
fdio_open_beneath(int dirfd, const char *path, bool links, int flags, mode_t mode)
{
    struct open_how how = {
        .flags = (unsigned)flags | O_CLOEXEC,
        .mode = mode,
        .resolve =
            RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (links ? 0u : (unsigned)RESOLVE_NO_SYMLINKS),
    };

    return (int)syscall(SYS_openat2, dirfd, path, &how, sizeof how);
}

int
fdio_open_parent(int dirfd, const char *path, const char **last)
{
    const char *slash = strrchr(path, '/');
    char directory[PATH_MAX];

    *last = slash != NULL ? slash + 1 : path;
    snprintf(directory, sizeof directory, "%.*s", slash != NULL ? (int)(slash - path) : 1,
             slash != NULL ? path : ".");
    return fdio_open_beneath(dirfd, directory, false, O_PATH | O_DIRECTORY, 0);
}

int
fdio_mkdir(int dirfd, const char *name, mode_t mode, struct err *err)
{
    struct stat st;

    if (mkdirat(dirfd, name, mode) == 0)
        return 1;
    if (errno == EEXIST && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode))
            return 0;
        errno = ENOTDIR;
    }
    return err_errno(err, "cannot make directory %s", name);
}

int
fdio_check_dir(int dirfd, const char *name, struct err *err)
{
    char inside[NAME_MAX + 3];

    snprintf(inside, sizeof inside, "%s/.", name);
    if (faccessat(dirfd, inside, W_OK | X_OK, AT_EACCESS) == 0)
        return 0;
    return err_errno(err, "no files can be made in %s/", name);
}

DIR *
fdio_opendir(int dirfd, const char *name, struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;

    if (dir == NULL) {
        err_errno(err, "cannot open the directory %s", name);
        fdio_close(fd);
    }
    return dir;
}

int
fdio_is_empty(int fd)
{
    const struct dirent *entry;
    struct err ignored;
    DIR *dir = fdio_opendir(fd, ".", &ignored);
    bool empty = true;

    if (dir == NULL)
        return -1;
    while (empty && (entry = readdir(dir)) != NULL)
        empty = strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0;
    closedir(dir);
    return empty;
}

int
fdio_read_all(int fd, const char *name, struct buf *out, struct err *err)
{
    char block[BLOCK_SIZE];
    ssize_t got = 1;

    while (got > 0 && buf_ok(out)) {
        got = read(fd, block, sizeof block);
        if (got > 0)
            buf_put(out, block, (size_t)got);
        else if (got < 0 && errno == EINTR)
            got = 1;
    }
    if (got < 0)
        err_errno(err, "cannot read %s", name);
    explicit_bzero(block, sizeof block); /* the file may be a key */
    if (got >= 0 && !buf_ok(out))
        err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, out->max);
    return got >= 0 && buf_ok(out) ? 0 : -1;
}

int
fdio_read_file(int dirfd, const char *name, struct buf *out, struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY), rc;

    buf_reset(out);
    if (fd < 0)
        return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", name);
    rc = fdio_read_all(fd, name, out, err);
    fdio_close(fd);
    return rc == 0 ? 1 : -1;
}

int
fdio_explain_given(const char *name, struct err *err)
{
    if (err->sys == ELOOP)
        return err_set(err, ERR_SYSTEM, "%s is a symbolic link: put the file itself there", name);
    if (err->sys == EACCES)
        return err_set(err, ERR_SYSTEM,
                       "the user that the server runs as can't read %s: change its owner or mode",
                       name);
    return -1;
}

int
fdio_read_given(int dirfd, const char *name, struct buf *out, struct err *err)
{
    int rc = fdio_read_file(dirfd, name, out, err);

    return rc < 0 ? fdio_explain_given(name, err) : rc;
}

/* Makes the file `temp`, complete and on disk. */
static int
write_temporary(int dirfd, const char *temp, mode_t mode, struct bytes content, struct err *err)
{
    int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    int rc = 0;

    if (fd < 0)
        return err_errno(err, "cannot make %s", temp);
    if (fchmod(fd, mode) != 0) /* openat would apply the umask */
        rc = err_errno(err, "cannot set the mode of %s", temp);
    else if (fdio_write_all(fd, content.p, content.n, temp, err) != 0 ||
             fdio_fsync(fd, temp, err) != 0)
        rc = -1;
    fdio_close(fd);
    if (rc != 0)
        unlinkat(dirfd, temp, 0);
    return rc;
}

int
fdio_replace_file(int dirfd, const char *name, mode_t mode, struct bytes content, struct err *err)
{
    const char *slash = strrchr(name, '/');
    char *dir = slash != NULL ? mem_copy(name, (size_t)(slash - name) + 1) : mem_strdup(".");
    char *temp = mem_printf("%s.%016llx.tmp", name, (unsigned long long)random_u64());
    int rc = write_temporary(dirfd, temp, mode, content, err);

    if (rc == 0 && renameat(dirfd, temp, dirfd, name) != 0) {
        rc = err_errno(err, "cannot rename %s to %s", temp, name);
        unlinkat(dirfd, temp, 0);
    }
    if (rc == 0)
        rc = fdio_fsync_dir(dirfd, dir, err);
    free(temp);
    free(dir);
    return rc;
}

int
fdio_rename_new(int from_fd, const char *from, int to_fd, const char *to)
{
    int rc = renameat2(from_fd, from, to_fd, to, RENAME_NOREPLACE);

    if (rc == 0 || errno != EINVAL)
        return rc;
    if (faccessat(to_fd, to, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return errno == ENOENT ? renameat(from_fd, from, to_fd, to) : -1;
    errno = EEXIST;
    return -1;
}

bool
fdio_same_file(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

void
fdio_look(int dirfd, const char *name, struct stat *seen)
{
    if (fstatat(dirfd, name, seen, 0) < 0)
        *seen = (struct stat){0};
}

bool
fdio_has_changed(int dirfd, const char *name, struct stat *seen)
{
    struct stat was = *seen;

    return fstatat(dirfd, name, seen, 0) == 0 && !fdio_same_file(&was, seen);
}

/* Copies the first n bytes of `from` behind the `at` bytes of `to`, as far as the kernel can, and
 * returns the number of bytes. The caller copies the rest by other means, which also find the cause
 * of a failure. */
static uint64_t
copy_in_kernel(int to, uint64_t at, int from, uint64_t n)
{
    off_t in = 0, out = (off_t)at;

    while ((uint64_t)in < n) {
        uint64_t left = n - (uint64_t)in;
        ssize_t done = copy_file_range(from, &in, to, &out, left < COPY_SIZE ? left : COPY_SIZE, 0);

        if (done == 0 || (done < 0 && errno != EINTR))
            break;
    }
    return (uint64_t)in;
}

int
fdio_append(int to, uint64_t at, int from, uint64_t n, const char *what, struct err *err)
{
    char block[BLOCK_SIZE];

    if (at > INT64_MAX || n > INT64_MAX - at)
        return err_set(err, ERR_TOO_LARGE, "%s: no file can be that large", what);
    for (uint64_t done = copy_in_kernel(to, at, from, n); done < n;) {
        size_t want = n - done < sizeof block ? (size_t)(n - done) : sizeof block;
        ssize_t got = fdio_read_at(from, block, want, done);

        if (got < 0)
            return err_errno(err, "cannot read the source of %s", what);
        if (got == 0)
            return err_set(err, ERR_BAD_SIZE, "%s: only %llu of %llu bytes are there to append",
                           what, (unsigned long long)done, (unsigned long long)n);
        if (fdio_write_at(to, block, (size_t)got, at + done, what, err) != 0)
            return -1;
        done += (uint64_t)got;
    }
    return 0;
}

int
fdio_can_write(int fd, int timeout_ms, const char *what, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int ready = poll(&p, 1, timeout_ms);

    if (ready < 0 && errno != EINTR)
        return err_errno(err, "cannot wait for %s", what);
    return ready == 1;
}

/* As sendfile, but through memory. */
static ssize_t
send_copy(int to, int from, off_t *at, size_t n)
{
    char block[BLOCK_SIZE];
    ssize_t got = pread(from, block, n < sizeof block ? n : sizeof block, *at);

    if (got > 0 && write_fully(to, block, (size_t)got, -1) != 0)
        return -1;
    *at += got > 0 ? got : 0;
    return got;
}

int
fdio_send(int to, int from, uint64_t *at, uint64_t n, const char *what, struct err *err)
{
    off_t in = (off_t)*at;
    size_t want = n < COPY_SIZE ? (size_t)n : COPY_SIZE;
    ssize_t done = sendfile(to, from, &in, want);

    /* sendfile can't write to an O_APPEND file or a terminal. */
    if (done < 0 && (errno == EINVAL || errno == ENOSYS))
        done = send_copy(to, from, &in, want);
    if (done < 0 && errno != EINTR)
        return err_errno(err, "cannot write %s", what);
    if (done == 0 && n > 0)
        return err_set(err, ERR_BAD_SIZE, "%s: the source has only %llu bytes", what,
                       (unsigned long long)*at);
    *at += done > 0 ? (uint64_t)done : 0;
    return 0;
}

static int remove_entries(DIR *dir, const char *name, struct err *err);

int
fdio_remove_tree(int dirfd, const char *name, struct err *err)
{
    DIR *dir = fdio_opendir(dirfd, name, err);
    int rc;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    rc = remove_entries(dir, name, err);
    closedir(dir);
    if (rc == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) != 0 && errno != ENOENT)
        rc = err_errno(err, "cannot remove directory %s", name);
    return rc;
}

static int
remove_entries(DIR *dir, const char *name, struct err *err)
{
    const struct dirent *entry;

    for (errno = 0; (entry = readdir(dir)) != NULL; errno = 0) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0 || errno == ENOENT)
            continue;
        if (errno != EISDIR)
            return err_errno(err, "cannot remove %s/%s", name, entry->d_name);
        if (fdio_remove_tree(dirfd(dir), entry->d_name, err) != 0)
            return -1;
    }
    return errno == 0 ? 0 : err_errno(err, "cannot read directory %s", name);
}

int
fdio_in_use(int fd)
{
    /* When a process opens the file during the lease, the kernel sends us a signal. The default,
     * SIGIO, would end this process; SIGURG is ignored unless it has a handler. No answer is
     * needed, since the lease is given back at once. */
    if (fcntl(fd, F_SETSIG, SIGURG) < 0)
        return -1;
    if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0)
        return errno == EAGAIN ? 1 : -1;
    return fcntl(fd, F_SETLEASE, F_UNLCK) < 0 ? -1 : 0;
}
