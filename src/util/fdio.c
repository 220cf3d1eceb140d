#include "util/fdio.h"
#include "util/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/random.h"
#include "util/banned.h"

#define READ_SIZE 65536
/* Bytes per copy_file_range: large enough to be fast, small enough to notice a signal. */
#define COPY_SIZE ((uint64_t)64 << 20)

void
fdio_close(int fd)
{
    if (fd >= 0) {
        int saved = errno;
        close(fd);
        errno = saved;
    }
}

/* Writes everything, with pwrite if at >= 0. Returns 0, or -1 and errno. */
static int
write_fully(int fd, const void *p, size_t n, off_t at)
{
    const char *from = p;
    while (n > 0) {
        ssize_t done = at >= 0 ? pwrite(fd, from, n, at) : write(fd, from, n);
        if (done < 0 && errno == EINTR) {
            continue;
        }
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
fdio_fsync(int fd, const char *what, struct err *err)
{
    /* Only EINTR is retried: after any other failure the kernel may have dropped the pages, and a
     * second fsync would succeed although data was lost. */
    while (fsync(fd) < 0) {
        if (errno != EINTR) {
            return err_errno(err, "cannot sync %s", what);
        }
    }
    return 0;
}

int
fdio_fsync_dir(int dirfd, const char *name, struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return err_errno(err, "cannot open directory %s", name);
    }
    int r = fdio_fsync(fd, name, err);
    fdio_close(fd);
    return r;
}

int
fdio_mkdir(int dirfd, const char *name, mode_t mode, struct err *err)
{
    if (mkdirat(dirfd, name, mode) == 0) {
        return 1;
    }
    struct stat st;
    if (errno == EEXIST && fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        if (S_ISDIR(st.st_mode)) {
            return 0;
        }
        errno = ENOTDIR;
    }
    return err_errno(err, "cannot make directory %s", name);
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

/* Reads, and retries after EINTR. */
static ssize_t
read_some(int fd, void *p, size_t n)
{
    ssize_t got;
    do {
        got = read(fd, p, n);
    } while (got < 0 && errno == EINTR);
    return got;
}

static int
read_whole(int fd, const char *name, struct buf *out, struct err *err)
{
    for (;;) {
        size_t left = out->max - out->n;
        if (left == 0) {
            char more;
            ssize_t got = read_some(fd, &more, 1);
            if (got < 0) {
                return err_errno(err, "cannot read %s", name);
            }
            if (got > 0) {
                return err_set(err, ERR_TOO_LARGE, "%s: more than %zu bytes", name, out->max);
            }
            return 1;
        }
        size_t n = left < READ_SIZE ? left : READ_SIZE;
        size_t had = out->n;
        void *at = buf_extend(out, n);
        if (at == NULL) {
            errno = ENOMEM;
            return err_errno(err, "cannot read %s", name);
        }
        ssize_t got = read_some(fd, at, n);
        buf_cut(out, had + (got > 0 ? (size_t)got : 0));
        if (got < 0) {
            return err_errno(err, "cannot read %s", name);
        }
        if (got == 0) {
            return 1;
        }
    }
}

int
fdio_read_file(int dirfd, const char *name, struct buf *out, struct err *err)
{
    buf_reset(out);
    int fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY);
    if (fd < 0) {
        return errno == ENOENT ? 0 : err_errno(err, "cannot open %s", name);
    }
    int r = read_whole(fd, name, out, err);
    fdio_close(fd);
    return r;
}

/* Writes the new file `temp` and syncs it. */
static int
write_temp(int dirfd, const char *temp, mode_t mode, struct bytes content, struct err *err)
{
    int fd = openat(dirfd, temp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    if (fd < 0) {
        return err_errno(err, "cannot make %s", temp);
    }
    int r = 0;
    if (fchmod(fd, mode) < 0) { /* fchmod, because the mode given to open is reduced by the umask */
        r = err_errno(err, "cannot set the mode of %s", temp);
    } else if (fdio_write_all(fd, content.p, content.n, temp, err) < 0 ||
               fdio_fsync(fd, temp, err) < 0) {
        r = -1;
    }
    fdio_close(fd);
    if (r < 0) {
        unlinkat(dirfd, temp, 0);
    }
    return r;
}

int
fdio_replace_file(int dirfd, const char *name, mode_t mode, struct bytes content, struct err *err)
{
    int r = -1;
    const char *slash = strrchr(name, '/');
    char *dir = slash != NULL ? mem_copy(name, (size_t)(slash - name) + 1) : mem_strdup(".");
    char *temp = mem_printf("%s.%016llx.tmp", name, (unsigned long long)random_u64());

    if (write_temp(dirfd, temp, mode, content, err) < 0) {
        goto done;
    }
    if (renameat(dirfd, temp, dirfd, name) < 0) {
        err_errno(err, "cannot rename %s to %s", temp, name);
        unlinkat(dirfd, temp, 0);
        goto done;
    }
    r = fdio_fsync_dir(dirfd, dir, err);
done:
    free(temp);
    free(dir);
    return r;
}

/* Copies the first n bytes of `from` behind `at` of `to`, as far as the kernel does it by itself.
 * Returns the number of bytes copied. The caller copies the rest by other means, which also find
 * the reason of a failure. */
static uint64_t
copy_in_kernel(int to, uint64_t at, int from, uint64_t n)
{
    off_t in = 0;
    off_t out = (off_t)at;
    while ((uint64_t)in < n) {
        uint64_t left = n - (uint64_t)in;
        ssize_t done = copy_file_range(from, &in, to, &out, left < COPY_SIZE ? left : COPY_SIZE, 0);
        if (done == 0 || (done < 0 && errno != EINTR)) {
            break;
        }
    }
    return (uint64_t)in;
}

int
fdio_append(int to, uint64_t at, int from, uint64_t n, const char *what, struct err *err)
{
    if (at > INT64_MAX || n > INT64_MAX - at) {
        return err_set(err, ERR_TOO_LARGE, "%s: no file can be that large", what);
    }
    char block[READ_SIZE];
    for (uint64_t done = copy_in_kernel(to, at, from, n); done < n;) {
        size_t want = n - done < sizeof block ? (size_t)(n - done) : sizeof block;
        ssize_t got = pread(from, block, want, (off_t)done);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return err_errno(err, "cannot read the source of %s", what);
        }
        if (got == 0) {
            return err_set(err, ERR_BAD_SIZE, "%s: only %llu of %llu bytes are there to append",
                           what, (unsigned long long)done, (unsigned long long)n);
        }
        if (write_fully(to, block, (size_t)got, (off_t)(at + done)) < 0) {
            return err_errno(err, "cannot write %s", what);
        }
        done += (uint64_t)got;
    }
    return 0;
}

int
fdio_can_write(int fd, int timeout_ms, const char *what, struct err *err)
{
    struct pollfd p = {.fd = fd, .events = POLLOUT};
    int r = poll(&p, 1, timeout_ms);
    if (r < 0 && errno != EINTR) {
        return err_errno(err, "cannot wait for %s", what);
    }
    return r == 1;
}

/* Like sendfile, but through memory: copies some of the bytes. */
static ssize_t
send_copy(int to, int from, off_t *at, size_t n)
{
    char block[READ_SIZE];
    ssize_t got = pread(from, block, n < sizeof block ? n : sizeof block, *at);
    if (got > 0 && write_fully(to, block, (size_t)got, -1) < 0) {
        return -1;
    }
    *at += got > 0 ? got : 0;
    return got;
}

int
fdio_send(int to, int from, uint64_t *at, uint64_t n, const char *what, struct err *err)
{
    off_t in = (off_t)*at;
    size_t want = n < COPY_SIZE ? (size_t)n : COPY_SIZE;
    ssize_t done = sendfile(to, from, &in, want);
    /* `to` is O_APPEND or a terminal. */
    if (done < 0 && (errno == EINVAL || errno == ENOSYS)) {
        done = send_copy(to, from, &in, want);
    }
    if (done < 0 && errno != EINTR) {
        return err_errno(err, "cannot write %s", what);
    }
    if (done == 0 && n > 0) {
        return err_set(err, ERR_BAD_SIZE, "%s: the source has only %llu bytes", what,
                       (unsigned long long)*at);
    }
    *at += done > 0 ? (uint64_t)done : 0;
    return 0;
}

static int remove_entries(DIR *dir, const char *name, struct err *err);

int
fdio_remove_tree(int dirfd, const char *name, struct err *err)
{
    int fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return errno == ENOENT ? 0 : err_errno(err, "cannot open directory %s", name);
    }
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        err_errno(err, "cannot read directory %s", name);
        fdio_close(fd);
        return -1;
    }
    int r = remove_entries(dir, name, err);
    closedir(dir);
    if (r == 0 && unlinkat(dirfd, name, AT_REMOVEDIR) < 0 && errno != ENOENT) {
        r = err_errno(err, "cannot remove directory %s", name);
    }
    return r;
}

static int
remove_entries(DIR *dir, const char *name, struct err *err)
{
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(dir);
        if (entry == NULL) {
            return errno == 0 ? 0 : err_errno(err, "cannot read directory %s", name);
        }
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) {
            continue;
        }
        if (unlinkat(dirfd(dir), entry->d_name, 0) == 0 || errno == ENOENT) {
            continue;
        }
        if (errno != EISDIR) {
            return err_errno(err, "cannot remove %s/%s", name, entry->d_name);
        }
        if (fdio_remove_tree(dirfd(dir), entry->d_name, err) < 0) {
            return -1;
        }
    }
}

int
fdio_in_use(int fd)
{
    /* When another process opens the file during the lease, the kernel signals this process. The
     * default signal, SIGIO, would end a process that doesn't handle it, so SIGURG is used, which
     * is ignored by default. The lease is given back at once anyway. */
    if (fcntl(fd, F_SETSIG, SIGURG) < 0) {
        return -1;
    }
    if (fcntl(fd, F_SETLEASE, F_WRLCK) < 0) {
        return errno == EAGAIN ? 1 : -1;
    }
    return fcntl(fd, F_SETLEASE, F_UNLCK) < 0 ? -1 : 0;
}
