/* A library to be preloaded (LD_PRELOAD), which lets chosen system calls fail, or records what a
 * program changes in a directory; see shim.h. It takes the place of the C library's functions. What
 * is written through a mapping isn't seen: only the regions of Berkeley DB are, and these are made
 * anew after a crash. */
#include "shim.h"
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static struct shim_rule *rules; /* NULL: none */
static int record = -1;
static char root[PATH_MAX]; /* with a final slash */

#define REAL(name) ((__typeof__(&name))find_real(#name))

static void *
find_real(const char *name)
{
    void *p = dlsym(RTLD_NEXT, name);

    if (p == NULL) {
        static const char text[] = "shim: a function of the C library is missing\n";
        (void)!write(STDERR_FILENO, text, sizeof text - 1);
        _exit(127);
    }
    return p;
}

__attribute__((constructor)) static void
set_up(void)
{
    const char *control = getenv("CRASH_SHIM"), *to = getenv("CRASH_RECORD"),
               *below = getenv("CRASH_ROOT");
    int fd;

    if (control != NULL && control[0] != '\0') {
        fd = (int)syscall(SYS_openat, AT_FDCWD, control, O_RDWR | O_CLOEXEC, 0);
        rules = fd < 0 ? MAP_FAILED
                       : mmap(NULL, SHIM_RULES * sizeof *rules, PROT_READ | PROT_WRITE, MAP_SHARED,
                              fd, 0);
        if (rules == MAP_FAILED)
            rules = NULL;
        if (fd >= 0)
            syscall(SYS_close, fd);
    }
    if (to != NULL && below != NULL && realpath(below, root) != NULL) {
        strcat(root, "/");
        record = (int)syscall(SYS_openat, AT_FDCWD, to,
                              O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0600);
        if (record >= 0) { /* out of the way of those who close all others */
            fd = fcntl(record, F_DUPFD_CLOEXEC, 900);
            syscall(SYS_close, record);
            record = fd;
        }
    }
}

/* ---- the clock ---- */

int
clock_gettime(clockid_t clock, struct timespec *ts)
{
    int rc = (int)syscall(SYS_clock_gettime, clock, ts);
    int64_t ns = 0;

    for (int i = 0; rc == 0 && rules != NULL && i < SHIM_RULES; i++)
        if (strcmp(rules[i].call, "clock") == 0)
            ns = rules[i].skip * 1000000;
    if (ns == 0 || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
        return rc;
    ns += (int64_t)ts->tv_sec * 1000000000 + ts->tv_nsec;
    ts->tv_sec = (time_t)(ns / 1000000000);
    ts->tv_nsec = (long)(ns % 1000000000);
    return rc;
}

time_t
time(time_t *at)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (at != NULL)
        *at = now.tv_sec;
    return now.tv_sec;
}

int
gettimeofday(struct timeval *at, void *zone)
{
    struct timespec now;

    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = (suseconds_t)(now.tv_nsec / 1000);
    return 0;
}

/* ---- names ---- */

static void
path_of_fd(int fd, char out[PATH_MAX])
{
    char link[40];
    long n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = syscall(SYS_readlink, link, out, PATH_MAX - 1);
    out[n > 0 ? n : 0] = '\0';
}

static void
path_of_name(int dirfd, const char *name, char out[PATH_MAX])
{
    size_t n;

    if (name[0] == '/') {
        snprintf(out, PATH_MAX, "%s", name);
        return;
    }
    if (dirfd != AT_FDCWD)
        path_of_fd(dirfd, out);
    else if (syscall(SYS_getcwd, out, PATH_MAX) < 0)
        out[0] = '\0';
    while (name[0] == '.' && name[1] == '/')
        name += 2;
    if (strcmp(name, ".") == 0)
        return;
    n = strlen(out);
    snprintf(out + n, PATH_MAX - n, "/%s", name);
}

/* ---- faults ---- */

/* True: the call fails; errno is set. */
static bool
fails(const char *call, int fd, const char *name)
{
    char path[PATH_MAX];
    bool has_path = false;

    if (rules == NULL)
        return false;
    for (int i = 0; i < SHIM_RULES; i++) {
        struct shim_rule *r = &rules[i];
        int saved = errno;
        int64_t n;

        if (r->call[0] == '\0' || r->later != 0 || strcmp(r->call, call) != 0)
            continue;
        if (r->path[0] != '\0' && !has_path) {
            if (name != NULL)
                path_of_name(fd, name, path);
            else
                path_of_fd(fd, path);
            has_path = true;
        }
        errno = saved;
        if (r->path[0] != '\0' && strstr(path, r->path) == NULL)
            continue;
        n = __atomic_fetch_add(&r->seen, 1, __ATOMIC_SEQ_CST);
        if (n < r->skip || (r->times >= 0 && n >= r->skip + r->times))
            continue;
        __atomic_fetch_add(&r->failed, 1, __ATOMIC_SEQ_CST);
        errno = r->error;
        return true;
    }
    return false;
}

/* ---- the record ---- */

/* The part of a path below the root; NULL: it is elsewhere, or a region. */
static const char *
below_root(const char *path)
{
    const char *p;

    if (strncmp(path, root, strlen(root)) != 0)
        return NULL;
    path += strlen(root);
    p = strstr(path, "/__db.");
    if (p != NULL && strlen(p) == 9) /* __db.001: a region */
        return NULL;
    return path;
}

static void
put_event(enum shim_op op, uint64_t file, uint64_t at, const char *name, const void *data,
          size_t data_n)
{
    struct shim_event e = {
        .op = op, .name_n = (uint32_t)strlen(name), .file = file, .at = at, .data_n = data_n};
    struct iovec v[] = {{&e, sizeof e}, {(void *)name, e.name_n}, {(void *)data, data_n}};
    int saved = errno;

    if (syscall(SYS_writev, record, v, 3L) != (long)(sizeof e + e.name_n + data_n)) {
        static const char text[] = "shim: the record can't be written\n";
        (void)!syscall(SYS_write, STDERR_FILENO, text, sizeof text - 1);
        _exit(127);
    }
    errno = saved;
}

/* The number of an open file below the root; 0: it is elsewhere. */
static uint64_t
file_of_fd(int fd)
{
    char path[PATH_MAX];
    struct stat st;
    int saved = errno;
    uint64_t file = 0;

    path_of_fd(fd, path);
    strcat(path, "/"); /* the root itself is below it, too */
    if (strncmp(path, root, strlen(root)) == 0) {
        path[strlen(path) - 1] = '\0';
        if ((strlen(path) < strlen(root) || below_root(path) != NULL) && fstat(fd, &st) == 0)
            file = st.st_ino;
    }
    errno = saved;
    return file;
}

static uint64_t
file_of_path(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0 ? st.st_ino : 0;
}

static void
record_fd(enum shim_op op, int fd, uint64_t at, const void *data, size_t n)
{
    uint64_t file = record >= 0 ? file_of_fd(fd) : 0;

    if (file != 0)
        put_event(op, file, at, "", data, n);
}

__attribute__((visibility("default"))) void
shim_note(const char *text)
{
    for (int i = 0; rules != NULL && i < SHIM_RULES; i++)
        rules[i].later = 0;
    if (record >= 0)
        put_event(SHIM_NOTE, 0, 0, "", text, strlen(text));
}

/* ---- opening ---- */

static int
do_open(int dirfd, const char *name, int flags, mode_t mode)
{
    char path[PATH_MAX];
    const char *below = NULL;
    bool is_new = false, is_cut = false;
    struct stat st;
    int fd;

    if (fails("openat", dirfd, name))
        return -1;
    if (record >= 0 && (flags & (O_CREAT | O_TRUNC | O_TMPFILE)) != 0) {
        path_of_name(dirfd, name, path);
        below = below_root(path);
        is_new = (flags & O_TMPFILE) == O_TMPFILE || lstat(path, &st) != 0;
        is_cut = !is_new && (flags & O_TRUNC) != 0;
    }
    fd = (int)syscall(SYS_openat, dirfd, name, flags, mode);
    if (fd < 0 || below == NULL)
        return fd;
    if (is_new && fstat(fd, &st) == 0) {
        put_event(SHIM_CREATE, st.st_ino, st.st_mode, "", NULL, 0);
        if ((flags & O_TMPFILE) != O_TMPFILE)
            put_event(SHIM_LINK, st.st_ino, 0, below, NULL, 0);
    } else if (is_cut) {
        record_fd(SHIM_TRUNCATE, fd, 0, NULL, 0);
    }
    return fd;
}

#define OPEN(name, at, first, call)                 \
    int name first                                  \
    {                                               \
        mode_t mode = 0;                            \
        va_list ap;                                 \
                                                    \
        if ((flags & (O_CREAT | O_TMPFILE)) != 0) { \
            va_start(ap, flags);                    \
            mode = va_arg(ap, mode_t);              \
            va_end(ap);                             \
        }                                           \
        return do_open(at, path, flags, mode);      \
    }

OPEN(open, AT_FDCWD, (const char *path, int flags, ...), )
OPEN(open64, AT_FDCWD, (const char *path, int flags, ...), )
OPEN(openat, dirfd, (int dirfd, const char *path, int flags, ...), )
OPEN(openat64, dirfd, (int dirfd, const char *path, int flags, ...), )

int __open_2(const char *path, int flags);
int __open64_2(const char *path, int flags);
int __openat_2(int dirfd, const char *path, int flags);
int __openat64_2(int dirfd, const char *path, int flags);

int
__open_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int
__open64_2(const char *path, int flags)
{
    return do_open(AT_FDCWD, path, flags, 0);
}

int
__openat_2(int dirfd, const char *path, int flags)
{
    return do_open(dirfd, path, flags, 0);
}

int
__openat64_2(int dirfd, const char *path, int flags)
{
    return do_open(dirfd, path, flags, 0);
}

/* ---- reading and writing ---- */

ssize_t
write(int fd, const void *p, size_t n)
{
    ssize_t done;
    off_t at = 0;

    if (fails("write", fd, NULL))
        return -1;
    if (record >= 0)
        at = (fcntl(fd, F_GETFL) & O_APPEND) != 0 ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
    done = syscall(SYS_write, fd, p, n);
    if (done > 0 && at >= 0)
        record_fd(SHIM_WRITE, fd, (uint64_t)at, p, (size_t)done);
    return done;
}

static ssize_t
do_pwrite(int fd, const void *p, size_t n, off_t at)
{
    ssize_t done;

    if (fails("pwrite", fd, NULL))
        return -1;
    done = syscall(SYS_pwrite64, fd, p, n, at);
    if (done > 0)
        record_fd(SHIM_WRITE, fd, (uint64_t)at, p, (size_t)done);
    return done;
}

ssize_t
pwrite(int fd, const void *p, size_t n, off_t at)
{
    return do_pwrite(fd, p, n, at);
}

ssize_t
pwrite64(int fd, const void *p, size_t n, off_t at)
{
    return do_pwrite(fd, p, n, at);
}

ssize_t __read_chk(int fd, void *p, size_t n, size_t room);
ssize_t __pread_chk(int fd, void *p, size_t n, off_t at, size_t room);
ssize_t __pread64_chk(int fd, void *p, size_t n, off_t at, size_t room);

ssize_t
read(int fd, void *p, size_t n)
{
    return fails("read", fd, NULL) ? -1 : syscall(SYS_read, fd, p, n);
}

ssize_t
__read_chk(int fd, void *p, size_t n, size_t room)
{
    return n > room ? abort(), -1 : read(fd, p, n);
}

ssize_t
pread(int fd, void *p, size_t n, off_t at)
{
    return fails("pread", fd, NULL) ? -1 : syscall(SYS_pread64, fd, p, n, at);
}

ssize_t
pread64(int fd, void *p, size_t n, off_t at)
{
    return pread(fd, p, n, at);
}

ssize_t
__pread_chk(int fd, void *p, size_t n, off_t at, size_t room)
{
    return n > room ? abort(), -1 : pread(fd, p, n, at);
}

ssize_t
__pread64_chk(int fd, void *p, size_t n, off_t at, size_t room)
{
    return n > room ? abort(), -1 : pread(fd, p, n, at);
}

ssize_t
copy_file_range(int from, off64_t *in, int to, off64_t *out, size_t n, unsigned flags)
{
    ssize_t done;
    off64_t at = out != NULL ? *out : 0;
    char *copy;

    if (fails("copy_file_range", to, NULL))
        return -1;
    done = syscall(SYS_copy_file_range, from, in, to, out, n, flags);
    if (done <= 0 || record < 0 || out == NULL || file_of_fd(to) == 0)
        return done;
    copy = malloc((size_t)done);
    if (copy != NULL && syscall(SYS_pread64, from, copy, done, *in - done) == done)
        record_fd(SHIM_WRITE, to, (uint64_t)at, copy, (size_t)done);
    free(copy);
    return done;
}

static int
do_ftruncate(int fd, off_t size)
{
    int rc;

    if (fails("ftruncate", fd, NULL))
        return -1;
    rc = (int)syscall(SYS_ftruncate, fd, size);
    if (rc == 0)
        record_fd(SHIM_TRUNCATE, fd, (uint64_t)size, NULL, 0);
    return rc;
}

int
ftruncate(int fd, off_t size)
{
    return do_ftruncate(fd, size);
}

int
ftruncate64(int fd, off_t size)
{
    return do_ftruncate(fd, size);
}

static int
do_fallocate(int fd, int mode, off_t at, off_t n)
{
    int rc;

    if (fails("fallocate", fd, NULL))
        return -1;
    rc = (int)syscall(SYS_fallocate, fd, mode, at, n);
    if (rc == 0 && mode == 0)
        record_fd(SHIM_GROW, fd, (uint64_t)(at + n), NULL, 0);
    return rc;
}

int
fallocate(int fd, int mode, off_t at, off_t n)
{
    return do_fallocate(fd, mode, at, n);
}

int
fallocate64(int fd, int mode, off_t at, off_t n)
{
    return do_fallocate(fd, mode, at, n);
}

int
posix_fallocate(int fd, off_t at, off_t n)
{
    return do_fallocate(fd, 0, at, n) == 0 ? 0 : errno;
}

int
posix_fallocate64(int fd, off_t at, off_t n)
{
    return posix_fallocate(fd, at, n);
}

int
fchmod(int fd, mode_t mode)
{
    int rc;

    if (fails("fchmod", fd, NULL))
        return -1;
    rc = (int)syscall(SYS_fchmod, fd, mode);
    if (rc == 0)
        record_fd(SHIM_MODE, fd, mode, NULL, 0);
    return rc;
}

int
fsync(int fd)
{
    int rc;

    if (fails("fsync", fd, NULL))
        return -1;
    rc = (int)syscall(SYS_fsync, fd);
    if (rc == 0)
        record_fd(SHIM_SYNC, fd, 0, NULL, 0);
    return rc;
}

int
fdatasync(int fd)
{
    int rc;

    if (fails("fdatasync", fd, NULL))
        return -1;
    rc = (int)syscall(SYS_fdatasync, fd);
    if (rc == 0)
        record_fd(SHIM_SYNC, fd, 0, NULL, 0);
    return rc;
}

int
fstatvfs(int fd, struct statvfs *out)
{
    return fails("fstatvfs", fd, NULL) ? -1 : REAL(fstatvfs)(fd, out);
}

void *
mmap(void *at, size_t n, int protection, int flags, int fd, off_t offset)
{
    if (fd >= 0 && fails("mmap", fd, NULL))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, at, n, protection, flags, fd, offset);
}

/* ---- names of files ---- */

int
linkat(int from_dir, const char *from, int to_dir, const char *to, int flags)
{
    char path[PATH_MAX];
    int rc;

    if (fails("linkat", to_dir, to))
        return -1;
    rc = (int)syscall(SYS_linkat, from_dir, from, to_dir, to, flags);
    if (rc != 0 || record < 0)
        return rc;
    path_of_name(to_dir, to, path);
    if (below_root(path) != NULL)
        put_event(SHIM_LINK, file_of_path(path), 0, below_root(path), NULL, 0);
    return rc;
}

int
link(const char *from, const char *to)
{
    return linkat(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int
renameat(int from_dir, const char *from, int to_dir, const char *to)
{
    char old[PATH_MAX], new[PATH_MAX];
    int rc;

    if (fails("renameat", to_dir, to))
        return -1;
    rc = (int)syscall(SYS_renameat, from_dir, from, to_dir, to);
    if (rc != 0 || record < 0)
        return rc;
    path_of_name(from_dir, from, old);
    path_of_name(to_dir, to, new);
    if (below_root(old) != NULL && below_root(new) != NULL)
        put_event(SHIM_RENAME, 0, 0, below_root(old), below_root(new), strlen(below_root(new)));
    return rc;
}

int
rename(const char *from, const char *to)
{
    return renameat(AT_FDCWD, from, AT_FDCWD, to);
}

int
unlinkat(int dirfd, const char *name, int flags)
{
    char path[PATH_MAX];
    int rc;

    if (fails("unlinkat", dirfd, name))
        return -1;
    rc = (int)syscall(SYS_unlinkat, dirfd, name, flags);
    if (rc != 0 || record < 0)
        return rc;
    path_of_name(dirfd, name, path);
    if (below_root(path) != NULL)
        put_event(SHIM_UNLINK, 0, 0, below_root(path), NULL, 0);
    return rc;
}

int
unlink(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

int
mkdirat(int dirfd, const char *name, mode_t mode)
{
    char path[PATH_MAX];
    int rc;

    if (fails("mkdirat", dirfd, name))
        return -1;
    rc = (int)syscall(SYS_mkdirat, dirfd, name, mode);
    if (rc != 0 || record < 0)
        return rc;
    path_of_name(dirfd, name, path);
    if (below_root(path) != NULL) {
        put_event(SHIM_CREATE, file_of_path(path), S_IFDIR | mode, "", NULL, 0);
        put_event(SHIM_LINK, file_of_path(path), 0, below_root(path), NULL, 0);
    }
    return rc;
}

int
mkdir(const char *name, mode_t mode)
{
    return mkdirat(AT_FDCWD, name, mode);
}
