#include "storage/files/blob_file.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "storage/files/body_dir.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/pack.h"
#include "util/random.h"

#define LAYERS "layers/"
#define BLOB_MODE 0440

void
blob_file_path(char out[BLOB_FILE_PATH_MAX], const struct digest *d, uint64_t instance)
{
    char path[DIGEST_PATH_MAX];

    digest_path(path, d);
    snprintf(out, BLOB_FILE_PATH_MAX, "%s.%016llx", path, (unsigned long long)instance);
}

static int
prepare_algorithm(int root, enum digest_algo algo, struct err *err)
{
    char parent[32], name[48];
    int rc, made = 0;

    snprintf(parent, sizeof parent, LAYERS "%s", digest_algo_name(algo));
    if (fdio_mkdir(root, parent, 0750, err) < 0)
        return -1;
    for (unsigned i = 0; i < 256; i++) {
        snprintf(name, sizeof name, "%s/%02x", parent, i);
        rc = fdio_mkdir(root, name, 0750, err);
        if (rc < 0)
            return -1;
        made += rc;
    }
    return made > 0 ? fdio_fsync_dir(root, parent, err) : 0;
}

int
blob_file_prepare(const struct blob_store *s, struct err *err)
{
    if (prepare_algorithm(s->root, DIGEST_SHA256, err) != 0 ||
        prepare_algorithm(s->root, DIGEST_SHA512, err) != 0)
        return -1;
    return fdio_fsync_dir(s->root, LAYERS, err);
}

/* The whole name of a blob file, and that of its directory. */
struct blob_place {
    char file[sizeof LAYERS + BLOB_FILE_PATH_MAX];
    char directory[sizeof LAYERS + BLOB_FILE_PATH_MAX];
};

static void
find_blob_place(struct blob_place *at, const struct digest *d, uint64_t instance)
{
    char path[BLOB_FILE_PATH_MAX];

    blob_file_path(path, d, instance);
    snprintf(at->file, sizeof at->file, LAYERS "%s", path);
    snprintf(at->directory, sizeof at->directory, "%.*s", (int)(strrchr(at->file, '/') - at->file),
             at->file);
}

/* Makes the new name durable, or takes it away again. */
static int
sync_blob_place(const struct blob_store *s, const struct blob_place *at, const struct digest *d,
                uint64_t instance, struct err *err)
{
    struct err ignored;

    if (fdio_fsync_dir(s->root, at->directory, err) == 0)
        return 0;
    blob_file_unlink(s, d, instance, &ignored);
    return -1;
}

int
blob_file_publish(const struct blob_store *s, int fd, const struct digest *d, uint64_t *instance,
                  struct err *err)
{
    struct blob_place at;
    char self[32];

    *instance = random_u64();
    find_blob_place(&at, d, *instance);
    if (fchmod(fd, BLOB_MODE) != 0)
        return err_errno(err, "chmod %s", at.file);
    if (fdio_fsync(fd, at.file, err) != 0)
        return -1;
    /* By descriptor: this inode was hashed, whatever its name points at by now. */
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, s->root, at.file, AT_SYMLINK_FOLLOW) != 0) {
        if (errno == EXDEV && body_dir_check(s->root, err) != 0)
            return -1;
        return err_errno(err, "link %s", at.file);
    }
    return sync_blob_place(s, &at, d, *instance, err);
}

bool
blob_file_is_linkable(const struct blob_store *s, dev_t device)
{
    struct stat st;

    return fstatat(s->root, "layers", &st, 0) == 0 && st.st_dev == device;
}

int
blob_file_adopt(const struct blob_store *s, int fd, const struct digest *d,
                const struct blob_file_link *by, uint64_t *instance, struct err *err)
{
    struct blob_place at;
    int rc;

    *instance = random_u64();
    find_blob_place(&at, d, *instance);
    if (fdio_fsync(fd, at.file, err) != 0) {
        /* The file is somebody else's, and stays. Its next reader gets what the disk has. */
        posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
        return -1;
    }
    rc = by->fn(by->arg, at.file, err);
    if (rc != 1)
        return rc;
    return sync_blob_place(s, &at, d, *instance, err) == 0 ? 1 : -1;
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
    int fd = blob_file_create(s, err);
    int rc;

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

    find_blob_place(&at, d, instance);
    fd = openat(s->root, at.file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    return fd >= 0 ? fd : err_errno(err, "open %s", at.file);
}

bool
blob_file_is(const struct blob_store *s, const struct digest *d, uint64_t instance, uint64_t size,
             int64_t *modified)
{
    struct blob_place at;
    struct stat st;

    find_blob_place(&at, d, instance);
    if (fstatat(s->root, at.file, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
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

    find_blob_place(&at, d, instance);
    if (fstatat(s->root, at.file, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return false;
    *bytes = (uint64_t)st.st_size;
    return true;
}

int
blob_file_unlink(const struct blob_store *s, const struct digest *d, uint64_t instance,
                 struct err *err)
{
    struct blob_place at;

    find_blob_place(&at, d, instance);
    if (unlinkat(s->root, at.file, 0) != 0 && errno != ENOENT)
        return err_errno(err, "unlink %s", at.file);
    return 0;
}

int
blob_file_put_back(const struct blob_store *s, int fd, const struct digest *d, uint64_t instance,
                   struct err *err)
{
    struct blob_place at;
    char self[32];

    find_blob_place(&at, d, instance);
    if (fchmod(fd, BLOB_MODE) != 0)
        return err_errno(err, "chmod %s", at.file);
    if (unlinkat(s->root, at.file, 0) != 0 && errno != ENOENT)
        return err_errno(err, "unlink %s", at.file);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, s->root, at.file, AT_SYMLINK_FOLLOW) != 0)
        return err_errno(err, "link %s", at.file);
    return 0;
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

int
blob_file_each(const struct blob_store *s, unsigned directory,
               int (*fn)(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg,
                         struct err *err),
               void *arg, struct err *err)
{
    char part[DIGEST_PATH_MAX], name[sizeof LAYERS + DIGEST_PATH_MAX];
    enum digest_algo algo = digest_directory(part, directory);
    time_t now = time(NULL);
    struct dirent *de;
    struct stat st;
    struct digest d;
    uint64_t instance;
    DIR *dir;
    int rc = 0;

    snprintf(name, sizeof name, LAYERS "%s", part);
    dir = fdio_opendir(s->root, name, err);
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
