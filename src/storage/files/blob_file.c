#include "storage/files/blob_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "storage/files/blob_cache.h"
#include "storage/files/blob_directory.h"
#include "storage/files/blob_object.h"
#include "storage/files/body_dir.h"
#include "storage/s3/s3_client.h"
#include "storage/s3/s3_parts.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/pack.h"
#include "util/random.h"

#define BLOB_MODE 0440
#define PREFIX_MAX sizeof "layers/"
/* Outside: files that are being written. One that nobody has written to for so long was left by a
 * crash. */
#define UNFINISHED "tmp"
#define UNFINISHED_NAME (sizeof UNFINISHED + 17)
#define UNFINISHED_S (24 * 3600)
/* The clock of the file system, by which a sweep knows the age of files, may differ by this. */
#define CLOCK_DIFFERENCE_S 300

void
blob_file_path(char out[BLOB_FILE_PATH_MAX], const struct digest *d, uint64_t instance)
{
    char path[DIGEST_PATH_MAX];

    digest_path(path, d);
    snprintf(out, BLOB_FILE_PATH_MAX, "%s.%016llx", path, (unsigned long long)instance);
}

/* The first directory tells the next start that there was a registry here (datadir.c). */
static int
prepare_algorithm(const struct blob_store *s, enum digest_algo algo, struct err *err)
{
    char parent[32], first[48];

    snprintf(parent, sizeof parent, "%s%s", blob_store_prefix(s), digest_algo_name(algo));
    snprintf(first, sizeof first, "%s/00", parent);
    return fdio_mkdir(blob_store_base(s), parent, 0750, err) < 0
               ? -1
               : blob_directory_need(blob_store_base(s), first, err);
}

/* Makes a file below tmp/, with the name. Descriptor or -1. */
static int
create_unfinished(int dir, char name[UNFINISHED_NAME], struct err *err)
{
    int fd;

    snprintf(name, UNFINISHED_NAME, UNFINISHED "/%016llx", (unsigned long long)random_u64());
    fd = openat(dir, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : err_errno(err, "create %s in --blobs", name);
}

static int
check_clock(const struct blob_store *s, struct err *err)
{
    char name[UNFINISHED_NAME];
    int fd = create_unfinished(s->outside, name, err), rc = 0;
    long long difference;
    struct stat st;

    if (fd < 0)
        return -1;
    if (fstat(fd, &st) != 0)
        rc = err_errno(err, "cannot look at %s", name);
    fdio_close(fd);
    unlinkat(s->outside, name, 0);
    if (rc != 0)
        return -1;
    difference = (long long)st.st_ctime - (long long)time(NULL);
    if (difference <= CLOCK_DIFFERENCE_S && difference >= -CLOCK_DIFFERENCE_S)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "--blobs %.150s: the clock of its file system differs by %lld seconds, and at "
                   "most %d are allowed: set both clocks",
                   s->name, difference, CLOCK_DIFFERENCE_S);
}

int
blob_file_prepare(const struct blob_store *s, struct err *err)
{
    if (s->s3 != NULL)
        return blob_cache_prepare(s, err);
    if (s->outside >= 0 &&
        (fdio_mkdir(s->outside, UNFINISHED, 0750, err) < 0 || check_clock(s, err) != 0))
        return -1;
    if (prepare_algorithm(s, DIGEST_SHA256, err) != 0 ||
        prepare_algorithm(s, DIGEST_SHA512, err) != 0)
        return -1;
    return fdio_fsync_dir(blob_store_base(s), s->outside >= 0 ? "." : "layers", err);
}

/* The whole name of a blob file, and that of its directory, below dir. */
struct blob_place {
    int dir;
    char path[BLOB_FILE_PATH_MAX]; /* without the prefix: the key of an object */
    char file[PREFIX_MAX + BLOB_FILE_PATH_MAX];
    char directory[PREFIX_MAX + BLOB_FILE_PATH_MAX];
};

static void
find_blob_place(struct blob_place *at, const struct blob_store *s, const struct digest *d,
                uint64_t instance)
{
    blob_file_path(at->path, d, instance);
    at->dir = blob_store_base(s);
    snprintf(at->file, sizeof at->file, "%s%s", blob_store_prefix(s), at->path);
    snprintf(at->directory, sizeof at->directory, "%.*s", (int)(strrchr(at->file, '/') - at->file),
             at->file);
}

/* The place of a new file: its directory is there. */
static int
need_blob_place(struct blob_place *at, const struct blob_store *s, const struct digest *d,
                uint64_t instance, struct err *err)
{
    find_blob_place(at, s, d, instance);
    return s->s3 != NULL ? 0 : blob_directory_need(at->dir, at->directory, err);
}

/* Makes the new name durable, or takes it away again. */
static int
sync_blob_place(const struct blob_place *at, struct err *err)
{
    if (fdio_fsync_dir(at->dir, at->directory, err) == 0)
        return 0;
    unlinkat(at->dir, at->file, 0);
    return -1;
}

/* ---- a copy, outside ---- */

/* What is copied: bytes in memory, or if p is NULL the file fd. */
struct copy_source {
    int fd;
    const void *p;
    uint64_t n;
};

static int
write_copy(int to, const struct copy_source *from, const char *what, struct err *err)
{
    int rc = from->p != NULL ? fdio_write_all(to, from->p, (size_t)from->n, what, err)
                             : fdio_append(to, 0, from->fd, from->n, what, err);

    if (rc == 0 && fchmod(to, BLOB_MODE) != 0)
        rc = err_errno(err, "chmod %s", what);
    return rc == 0 ? fdio_fsync(to, what, err) : -1;
}

/* The new name isn't durable yet. It replaces what has it. */
static int
copy_outside(const struct blob_place *at, const struct copy_source *from, struct err *err)
{
    char temp[UNFINISHED_NAME];
    int rc, to = create_unfinished(at->dir, temp, err);

    if (to < 0)
        return -1;
    rc = write_copy(to, from, at->file, err);
    fdio_close(to);
    if (rc == 0 && renameat(at->dir, temp, at->dir, at->file) != 0)
        rc = err_errno(err, "rename to %s", at->file);
    if (rc != 0)
        unlinkat(at->dir, temp, 0);
    return rc;
}

static int
copy_file_outside(const struct blob_place *at, int fd, struct err *err)
{
    struct stat st;

    if (fstat(fd, &st) != 0)
        return err_errno(err, "cannot look at the file of %s", at->file);
    return copy_outside(at, &(struct copy_source){.fd = fd, .n = (uint64_t)st.st_size}, err);
}

int
blob_file_sweep_unfinished(const struct blob_store *s, struct err *err)
{
    time_t now = time(NULL);
    struct dirent *de;
    struct stat st;
    DIR *dir;

    if (s->s3 != NULL)
        return s3_parts_sweep(s->s3, UNFINISHED_S, err);
    if (s->outside < 0)
        return 0;
    dir = fdio_opendir(s->outside, UNFINISHED, err);
    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    while ((de = readdir(dir)) != NULL)
        if (fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode) &&
            now > st.st_mtime && now - st.st_mtime > UNFINISHED_S)
            unlinkat(dirfd(dir), de->d_name, 0);
    closedir(dir);
    return 0;
}

/* ---- publishing ---- */

/* Inside. replace: what has the name goes first. The new name isn't durable yet. */
static int
link_inside(const struct blob_store *s, const struct blob_place *at, int fd, bool replace,
            struct err *err)
{
    char self[32];

    if (replace && unlinkat(at->dir, at->file, 0) != 0 && errno != ENOENT)
        return err_errno(err, "unlink %s", at->file);
    /* By descriptor: this inode was hashed, whatever its name points at by now. */
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, at->dir, at->file, AT_SYMLINK_FOLLOW) != 0) {
        if (errno == EXDEV && (body_dir_check(s->root, err) != 0 || blob_store_check(s, err) != 0))
            return -1;
        return err_errno(err, "link %s", at->file);
    }
    return 0;
}

int
blob_file_publish(const struct blob_store *s, int fd, const struct digest *d, uint64_t *instance,
                  struct err *err)
{
    struct blob_place at;
    int rc;

    *instance = random_u64();
    if (need_blob_place(&at, s, d, *instance, err) != 0)
        return -1;
    if (s->s3 != NULL) {
        rc = blob_object_put(s, at.path, fd, d, err);
        if (rc == 0 && fchmod(fd, BLOB_MODE) == 0) /* nobody appends to it any more */
            blob_cache_keep(s, at.path, fd);
        return rc;
    }
    if (s->outside >= 0) {
        rc = copy_file_outside(&at, fd, err);
    } else {
        if (fchmod(fd, BLOB_MODE) != 0)
            return err_errno(err, "chmod %s", at.file);
        rc = fdio_fsync(fd, at.file, err);
        if (rc == 0)
            rc = link_inside(s, &at, fd, false, err);
    }
    return rc == 0 ? sync_blob_place(&at, err) : -1;
}

bool
blob_file_is_linkable(const struct blob_store *s, dev_t device)
{
    struct stat st;

    return !blob_store_is_outside(s) && fstatat(s->root, "layers", &st, 0) == 0 &&
           st.st_dev == device;
}

int
blob_file_adopt(const struct blob_store *s, int fd, const struct digest *d,
                const struct blob_file_link *by, uint64_t *instance, struct err *err)
{
    struct blob_place at;
    int rc;

    if (blob_store_is_outside(s))
        return 0;
    *instance = random_u64();
    if (need_blob_place(&at, s, d, *instance, err) != 0)
        return -1;
    if (fdio_fsync(fd, at.file, err) != 0) {
        /* The file is somebody else's, and stays. Its next reader gets what the disk has. */
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return -1;
    }
    rc = by->fn(by->arg, at.file, err);
    if (rc != 1)
        return rc;
    return sync_blob_place(&at, err) == 0 ? 1 : -1;
}

int
blob_file_create(const struct blob_store *s, struct err *err)
{
    int fd = openat(s->root, "uploads", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    return fd >= 0 ? fd : err_errno(err, "create a file in uploads/");
}

int
blob_file_write(const struct blob_store *s, struct bytes content, const struct digest *d,
                uint64_t *instance, struct err *err)
{
    struct blob_place at;
    int fd, rc;

    if (blob_store_is_outside(s)) {
        *instance = random_u64();
        if (need_blob_place(&at, s, d, *instance, err) != 0)
            return -1;
        if (s->s3 != NULL)
            return s3_client_put_bytes(s->s3, at.path, content, err);
        rc = copy_outside(&at, &(struct copy_source){.p = content.p, .n = content.n}, err);
        return rc == 0 ? sync_blob_place(&at, err) : -1;
    }
    fd = blob_file_create(s, err);
    if (fd < 0)
        return -1;
    rc = fdio_write_all(fd, content.p, content.n, "uploads/", err);
    if (rc == 0)
        rc = blob_file_publish(s, fd, d, instance, err);
    fdio_close(fd);
    return rc;
}

int
blob_file_open(const struct blob_store *s, const struct digest *d, uint64_t instance,
               struct err *err)
{
    struct blob_place at;
    int fd;

    find_blob_place(&at, s, d, instance);
    if (s->s3 != NULL)
        return blob_cache_open(s, at.path, d, err);
    fd = openat(at.dir, at.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : err_errno(err, "open %s", at.file);
}

bool
blob_file_is(const struct blob_store *s, const struct digest *d, uint64_t instance, uint64_t size,
             int64_t *modified)
{
    struct blob_place at;
    struct stat st;
    struct err ignored;
    uint64_t bytes;

    find_blob_place(&at, s, d, instance);
    if (s->s3 != NULL)
        return blob_object_look(s, at.path, &bytes, modified, &ignored) == 1 && bytes == size;
    if (fstatat(at.dir, at.file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
        return false;
    *modified = st.st_mtime;
    return (uint64_t)st.st_size == size;
}

int
blob_file_read(const struct blob_store *s, const struct digest *d, uint64_t instance, void *p,
               size_t n, struct err *err)
{
    int fd = blob_file_open(s, d, instance, err);
    ssize_t got;

    if (fd < 0)
        return -1;
    got = fdio_read_at(fd, p, n, 0);
    fdio_close(fd);
    return got == (ssize_t)n ? 0 : err_set(err, ERR_CORRUPT, "the file of a blob is too short");
}

bool
blob_file_size(const struct blob_store *s, const struct digest *d, uint64_t instance,
               uint64_t *bytes)
{
    struct blob_place at;
    struct stat st;
    struct err ignored;
    int64_t modified;

    find_blob_place(&at, s, d, instance);
    if (s->s3 != NULL)
        return blob_object_look(s, at.path, bytes, &modified, &ignored) == 1;
    if (fstatat(at.dir, at.file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *bytes = (uint64_t)st.st_size;
    return true;
}

int
blob_file_look(const struct blob_store *s, const struct digest *d, uint64_t instance,
               uint64_t *bytes, struct err *err)
{
    struct blob_place at;
    struct stat st;
    int64_t modified;
    int fd, rc;

    find_blob_place(&at, s, d, instance);
    if (s->s3 != NULL)
        return blob_object_look(s, at.path, bytes, &modified, err);
    fd = blob_file_open(s, d, instance, err);
    if (fd < 0)
        return err->sys == ENOENT ? 0 : -1;
    rc = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) ? 1 : err_errno(err, "look at %s", at.file);
    fdio_close(fd);
    *bytes = rc == 1 ? (uint64_t)st.st_size : 0;
    return rc;
}

int
blob_file_unlink(const struct blob_store *s, const struct digest *d, uint64_t instance,
                 struct err *err)
{
    struct blob_place at;

    find_blob_place(&at, s, d, instance);
    if (s->s3 != NULL) {
        blob_cache_remove(s, at.path);
        return s3_client_delete(s->s3, at.path, err);
    }
    if (unlinkat(at.dir, at.file, 0) != 0 && errno != ENOENT)
        return err_errno(err, "unlink %s", at.file);
    return 0;
}

int
blob_file_put_back(const struct blob_store *s, int fd, const struct digest *d, uint64_t instance,
                   struct err *err)
{
    struct blob_place at;

    if (need_blob_place(&at, s, d, instance, err) != 0)
        return -1;
    if (s->s3 != NULL)
        return blob_object_put(s, at.path, fd, d, err);
    if (s->outside >= 0)
        return copy_file_outside(&at, fd, err);
    if (fchmod(fd, BLOB_MODE) != 0)
        return err_errno(err, "chmod %s", at.file);
    return link_inside(s, &at, fd, true, err);
}

/* "<hex>.<16 hex>", as blob_file_path writes it. */
static bool
parse_blob_name(enum digest_algo algo, const char *name, struct digest *d, uint64_t *instance)
{
    size_t digits = 2 * digest_size(algo);
    uint8_t b[8];

    *d = (struct digest){.algo = algo};
    if (strlen(name) != digits + 1 + 16 || name[digits] != '.' ||
        !hex_decode(d->bytes, digits / 2, name, digits) ||
        !hex_decode(b, sizeof b, name + digits + 1, 16))
        return false;
    *instance = unpack_uint_at(b, sizeof b);
    return true;
}

/* A walk over objects. */
struct object_walk {
    const struct blob_store *s;
    enum digest_algo algo;
    int (*fn)(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
              struct err *err);
    void *arg;
};

/* The time of an object that came in parts can be that of the beginning: its upload may have gone
 * on until blob_file_sweep_unfinished would have ended it. */
static int
see_object(const struct s3_object *o, int64_t now_s, void *arg, struct err *err)
{
    const struct object_walk *w = arg;
    const char *slash = strrchr(o->key, '/');
    int64_t since = o->modified_s + (o->size > w->s->s3->put_max ? UNFINISHED_S : 0);
    struct digest d;
    uint64_t instance;

    if (slash == NULL || !parse_blob_name(w->algo, slash + 1, &d, &instance))
        return 0;
    return w->fn(&d, instance, now_s > since ? (uint64_t)(now_s - since) : 0, w->arg, err);
}

int
blob_file_each(const struct blob_store *s, unsigned directory,
               int (*fn)(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    char part[DIGEST_PATH_MAX], name[PREFIX_MAX + DIGEST_PATH_MAX];
    enum digest_algo algo = digest_directory(part, directory);
    time_t now = time(NULL);
    struct dirent *de;
    struct stat st;
    struct digest d;
    uint64_t instance;
    DIR *dir;
    int rc = 0;

    snprintf(name, sizeof name, "%s%s", blob_store_prefix(s), part);
    if (s->s3 != NULL) {
        snprintf(name, sizeof name, "%s/", part);
        return s3_client_list(s->s3, name, see_object,
                              &(struct object_walk){.s = s, .algo = algo, .fn = fn, .arg = arg},
                              err);
    }
    dir = fdio_opendir(blob_store_base(s), name, err);
    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    while (rc == 0 && (de = readdir(dir)) != NULL) {
        if (!parse_blob_name(algo, de->d_name, &d, &instance) ||
            fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        rc = fn(&d, instance, now > st.st_ctime ? (uint64_t)(now - st.st_ctime) : 0, arg, err);
    }
    closedir(dir);
    return rc < 0 ? -1 : 0;
}
