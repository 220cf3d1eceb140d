#include "storage/files/blob_cache.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include "storage/files/blob_object.h"
#include "storage/files/disk_space.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "util/mem.h"
#include "util/pack.h"

#define NAME_ROOM (sizeof BLOB_CACHE_DIR + DIGEST_PATH_MAX + 20)
/* Looking through the directory takes some 20 ms then. */
#define FILES_MAX 8192
/* Which boot of the machine the copies are of. */
#define BOOT "boot"
#define BOOT_NAME BLOB_CACHE_DIR "/" BOOT
#define BOOT_MAX 256
#define NGINX_CACHE BLOB_CACHE_DIR "/nginx"

static void
name_cached(char out[NAME_ROOM], const char *path)
{
    snprintf(out, NAME_ROOM, BLOB_CACHE_DIR "/%s", strrchr(path, '/') + 1);
}

/* ---- after a power loss ---- */

/* All that is in the directory, except the directory of nginx, which may have begun already. */
static int
remove_copies(const struct blob_store *s, const char *from, struct err *err)
{
    DIR *dir = fdio_opendir(s->root, from, err);
    char name[2 * NAME_ROOM];
    int rc = 0;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        snprintf(name, sizeof name, "%s/%.160s", from, e->d_name);
        if (e->d_name[0] != '.' && strcmp(name, NGINX_CACHE) != 0 &&
            unlinkat(s->root, name, 0) != 0 && errno != ENOENT)
            rc = fdio_remove_tree(s->root, name, err);
    }
    closedir(dir);
    return rc;
}

int
blob_cache_prepare(const struct blob_store *s, struct err *err)
{
    struct buf now, then;
    int rc = 0;

    buf_init(&now, BOOT_MAX);
    buf_init(&then, BOOT_MAX);
    if (fdio_read_file(AT_FDCWD, "/proc/sys/kernel/random/boot_id", &now, err) != 1 ||
        fdio_read_file(s->root, BOOT_NAME, &then, err) != 1 ||
        strcmp(buf_text(&now), buf_text(&then)) != 0) {
        rc = remove_copies(s, BLOB_CACHE_DIR, err);
        if (rc == 0)
            rc = remove_copies(s, NGINX_CACHE, err);
        if (rc == 0)
            rc = fdio_replace_file(s->root, BOOT_NAME, 0600, buf_bytes(&now), err);
    }
    buf_free(&then);
    buf_free(&now);
    return rc;
}

/* ---- bound ---- */

struct cached_file {
    char name[NAME_ROOM];
    uint64_t bytes;
    struct timespec used;
};

static int
order_cached(const void *a, const void *b)
{
    const struct timespec *x = &((const struct cached_file *)a)->used;
    const struct timespec *y = &((const struct cached_file *)b)->used;

    if (x->tv_sec != y->tv_sec)
        return x->tv_sec < y->tv_sec ? -1 : 1;
    return (x->tv_nsec > y->tv_nsec) - (x->tv_nsec < y->tv_nsec);
}

/* Another process may have added some more meanwhile; the next one that adds a file sees them. */
static size_t
list_cached(int root, struct cached_file *v, uint64_t *bytes)
{
    struct err ignored;
    DIR *dir = fdio_opendir(root, BLOB_CACHE_DIR, &ignored);
    struct stat st;
    size_t n = 0;

    *bytes = 0;
    if (dir == NULL)
        return 0;
    for (const struct dirent *e; n < FILES_MAX + 1 && (e = readdir(dir)) != NULL;) {
        if (strcmp(e->d_name, BOOT) == 0 ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 || !S_ISREG(st.st_mode))
            continue;
        snprintf(v[n].name, sizeof v[n].name, "%.160s", e->d_name);
        v[n].bytes = (uint64_t)st.st_size;
        v[n++].used = st.st_atim;
        *bytes += (uint64_t)st.st_size;
    }
    closedir(dir);
    return n;
}

static void
bound_cache(const struct blob_store *s, uint64_t most)
{
    struct cached_file *v = mem_array(FILES_MAX + 1, sizeof *v);
    char name[NAME_ROOM];
    uint64_t bytes;
    size_t n = list_cached(s->root, v, &bytes), left = n;

    if (bytes > most || n > FILES_MAX)
        qsort(v, n, sizeof *v, order_cached);
    for (size_t i = 0; i < n && (bytes > most || left > FILES_MAX); i++) {
        snprintf(name, sizeof name, BLOB_CACHE_DIR "/%s", v[i].name);
        unlinkat(s->root, name, 0);
        bytes -= v[i].bytes;
        left--;
    }
    free(v);
}

/* ---- opening ---- */

int
blob_cache_look(const struct blob_store *s, const char *path)
{
    const struct timespec used[2] = {{.tv_nsec = UTIME_NOW}, {.tv_nsec = UTIME_OMIT}};
    char name[NAME_ROOM];
    int fd;

    name_cached(name, path);
    fd = openat(s->root, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd >= 0)
        futimens(fd, used);
    return fd;
}

int
blob_cache_create(const struct blob_store *s, struct err *err)
{
    int fd;

    if (disk_space_check(s->root, 0, err) != 0) {
        bound_cache(s, 0);
        if (disk_space_check(s->root, 0, err) != 0)
            return -1;
    }
    fd = openat(s->root, BLOB_CACHE_DIR, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    return fd >= 0 ? fd : err_errno(err, "create a file in " BLOB_CACHE_DIR "/");
}

uint64_t
blob_cache_room(const struct blob_store *s)
{
    uint64_t room = disk_space_free(s->root), needed = disk_space_needed(s->root);

    return room > needed ? room - needed : 0;
}

int
blob_cache_begin(const struct blob_store *s, const char *path, bool *is_absent, struct err *err)
{
    int fd = blob_cache_look(s, path);

    *is_absent = fd < 0;
    return fd >= 0 ? fd : blob_cache_create(s, err);
}

int
blob_cache_fill(const struct blob_store *s, const char *path, const struct digest *d, int fd,
                uint64_t most, struct err *err)
{
    int rc = blob_object_get(s, path, fd, most, 0, d, err);

    if (rc == 0) {
        err_set(err, ERR_SYSTEM, "S3 has no object %.150s", path);
        err->sys = ENOENT;
    }
    return rc == 1 ? 0 : -1;
}

int
blob_cache_open(const struct blob_store *s, const char *path, const struct digest *d,
                struct err *err)
{
    bool is_absent;
    int fd = blob_cache_begin(s, path, &is_absent, err);

    if (fd < 0 || !is_absent)
        return fd;
    if (blob_cache_fill(s, path, d, fd, blob_cache_room(s), err) != 0) {
        fdio_close(fd);
        return -1;
    }
    blob_cache_keep(s, path, fd);
    return fd;
}

void
blob_cache_keep(const struct blob_store *s, const char *path, int fd)
{
    char name[NAME_ROOM], self[32];

    name_cached(name, path);
    snprintf(self, sizeof self, "/proc/self/fd/%d", fd);
    if (linkat(AT_FDCWD, self, s->root, name, AT_SYMLINK_FOLLOW) == 0)
        bound_cache(s, s->cache_bytes);
}

void
blob_cache_remove(const struct blob_store *s, const char *path)
{
    char name[NAME_ROOM];

    name_cached(name, path);
    unlinkat(s->root, name, 0);
}

/* ---- the sweep ---- */

static bool
parse_copy_name(const char *name, struct digest *d, uint64_t *instance, bool *is_index)
{
    size_t digits = strcspn(name, ".");
    uint8_t b[8];

    *is_index = name[digits] == '\0';
    *d = (struct digest){.algo = digits == 2 * digest_size(DIGEST_SHA256) ? DIGEST_SHA256
                                                                          : DIGEST_SHA512};
    if (!hex_decode(d->bytes, digest_size(d->algo), name, digits))
        return false;
    if (*is_index)
        return true;
    if (!hex_decode(b, sizeof b, name + digits + 1, strlen(name + digits + 1)))
        return false;
    *instance = unpack_uint_at(b, sizeof b);
    return true;
}

int
blob_cache_sweep(const struct blob_store *s, unsigned byte, int64_t age_s,
                 int (*fn)(const struct digest *d, const uint64_t *instance, void *arg,
                           struct err *err),
                 void *arg, struct err *err)
{
    DIR *dir = fdio_opendir(s->root, BLOB_CACHE_DIR, err);
    time_t now = time(NULL);
    uint64_t instance;
    struct digest d;
    struct stat st;
    bool is_index;
    int rc = 1;

    if (dir == NULL)
        return errno == ENOENT ? 0 : -1;
    for (const struct dirent *e; rc >= 0 && (e = readdir(dir)) != NULL;) {
        if (!parse_copy_name(e->d_name, &d, &instance, &is_index) || d.bytes[0] != byte ||
            fstatat(dirfd(dir), e->d_name, &st, AT_SYMLINK_NOFOLLOW) != 0 ||
            now - st.st_mtime < age_s)
            continue;
        rc = fn(&d, is_index ? NULL : &instance, arg, err);
        if (rc == 0)
            unlinkat(dirfd(dir), e->d_name, 0);
    }
    closedir(dir);
    return rc < 0 ? -1 : 0;
}
