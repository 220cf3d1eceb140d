#include "storage/kv/bdb_copy.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/mem.h"
#include "util/parse.h"

#define PIECE (1u << 20)
#define MODE 0600

bool
bdb_copy_is_log(const char *name, uint32_t *number)
{
    uint64_t v;

    if (strncmp(name, "log.", 4) != 0 || strlen(name) != 14 || !parse_u64(name + 4, 10, &v) ||
        v > UINT32_MAX)
        return false;
    *number = (uint32_t)v;
    return true;
}

/* Tables, logs, and the extents of queues. Not the regions (__db.001), nor our own files. */
static bool
is_of_store(const char *name)
{
    static const char *const others[] = {"format",  "lock",   "backup.lock",
                                         "reserve", "tables", "restored"};

    if (name[0] == '.' || strncmp(name, "__db.", 5) == 0)
        return false;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return true;
}

static int
each_file(const char *dir, int (*fn)(int dirfd, const char *name, void *arg, struct err *err),
          void *arg, struct err *err)
{
    DIR *d = fdio_opendir(AT_FDCWD, dir, err);
    int rc = 0;

    if (d == NULL)
        return -1;
    for (struct dirent *e; rc == 0 && (e = readdir(d)) != NULL;)
        if (is_of_store(e->d_name))
            rc = fn(dirfd(d), e->d_name, arg, err);
    closedir(d);
    return rc;
}

static int
add_file_size(int dirfd, const char *name, void *arg, struct err *err)
{
    struct stat st;

    (void)err;
    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) == 0)
        *(uint64_t *)arg += (uint64_t)st.st_size;
    return 0;
}

int
bdb_copy_size(const char *dir, uint64_t *bytes, struct err *err)
{
    *bytes = 0;
    return each_file(dir, add_file_size, bytes, err);
}

/* ---- of a store that nobody uses ---- */

struct copying {
    const char *to;
    kv_copy_tick *tick;
    void *arg;
};

static int
copy_bytes(const struct copying *c, int from, int to, const char *name, struct err *err)
{
    char *piece = mem_alloc(PIECE);
    uint64_t at = 0;
    ssize_t n = 0;
    int rc = 0;

    while (rc == 0 && (n = fdio_read_at(from, piece, PIECE, at)) > 0) {
        rc = fdio_write_at(to, piece, (size_t)n, at, name, err);
        if (rc == 0)
            rc = c->tick(c->arg, (uint64_t)n, err);
        at += (uint64_t)n;
    }
    if (rc == 0 && n < 0)
        rc = err_errno(err, "cannot read %s", name);
    free(piece);
    return rc;
}

static int
copy_as(const struct copying *c, int dirfd, const char *name, const char *as, struct err *err)
{
    char path[4096];
    int from, to = -1, rc = -1;

    if ((size_t)snprintf(path, sizeof path, "%s/%s", c->to, as) >= sizeof path)
        return err_set(err, ERR_SYSTEM, "name too long: %s", c->to);
    from = openat(dirfd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (from >= 0)
        to = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, MODE);
    if (from < 0 || to < 0)
        err_errno(err, "cannot copy %s", name);
    else
        rc = copy_bytes(c, from, to, name, err);
    fdio_close(from);
    fdio_close(to);
    return rc;
}

static int
copy_file(int dirfd, const char *name, void *arg, struct err *err)
{
    return copy_as(arg, dirfd, name, name, err);
}

/* A backup has no such list. */
static int
copy_list_of_tables(const struct copying *c, const char *from, struct err *err)
{
    int dirfd = open(from, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

    if (dirfd < 0)
        return err_errno(err, "cannot open directory %s", from);
    if (faccessat(dirfd, "tables", F_OK, AT_SYMLINK_NOFOLLOW) == 0)
        rc = copy_as(c, dirfd, "tables", BDB_COPY_TABLES, err);
    fdio_close(dirfd);
    return rc;
}

int
bdb_copy_files(const char *from, const char *to, kv_copy_tick *tick, void *arg, struct err *err)
{
    struct copying c = {to, tick, arg};

    return each_file(from, copy_file, &c, err) != 0 ? -1 : copy_list_of_tables(&c, from, err);
}
