#include "domain/access/access_file.h"
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>
#include "util/fdio.h"
#include "util/log.h"

static void
unmap_access_file(struct access_file *f)
{
    if (f->map != NULL)
        munmap(f->map, f->map_n);
    f->map = NULL;
    f->is_usable = false;
}

static int
map_access_file(struct access_file *f, int dirfd, struct err *err)
{
    int fd = openat(dirfd, ACCESS_FILE_NAME, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    void *map;

    if (fd < 0 || fstat(fd, &f->seen) < 0) {
        fdio_close(fd);
        return err_errno(err, "cannot open %s", ACCESS_FILE_NAME);
    }
    if (f->seen.st_size <= 0 || f->seen.st_size > ACCESS_TABLE_MAX) {
        fdio_close(fd);
        return err_set(err, ERR_CORRUPT, "%s has a wrong size", ACCESS_FILE_NAME);
    }
    map = mmap(NULL, (size_t)f->seen.st_size, PROT_READ, MAP_SHARED, fd, 0);
    fdio_close(fd);
    if (map == MAP_FAILED)
        return err_errno(err, "cannot map %s", ACCESS_FILE_NAME);
    f->map = map;
    f->map_n = (size_t)f->seen.st_size;
    return access_table_open(&f->table, bytes_of(f->map, f->map_n), err);
}

void
access_file_look(struct access_file *f, int dirfd)
{
    struct stat st;
    struct err err;

    /* After any other error than this one the file counts as existing. */
    if (fstatat(dirfd, ACCESS_FILE_NAME, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        f->is_there = errno != ENOENT;
        unmap_access_file(f);
        return;
    }
    if (f->is_there && fdio_same_file(&f->seen, &st))
        return;
    f->is_there = true;
    unmap_access_file(f);
    f->is_usable = map_access_file(f, dirfd, &err) == 0;
    if (!f->is_usable && err.sys == ENOENT) /* the master has just removed it */
        f->is_there = false;
    else if (!f->is_usable)
        log_line(LOG_ERROR, "users and rules can't be read: nobody has any right", "why=%s",
                 err.message);
}

int
access_file_write(int dirfd, const struct access_sources *sources, struct err *err)
{
    struct buf out;
    int rc;

    buf_init(&out, ACCESS_TABLE_MAX);
    rc = access_table_compile(sources, &out, err);
    if (rc == 0 && !buf_ok(&out))
        rc = err_set(err, ERR_TOO_LARGE, "users, groups and rules are too many");
    if (rc == 0)
        rc = fdio_replace_file(dirfd, ACCESS_FILE_NAME, 0600, buf_bytes(&out), err);
    buf_free(&out);
    return rc;
}

int
access_file_remove(int dirfd, struct err *err)
{
    if (unlinkat(dirfd, ACCESS_FILE_NAME, 0) == 0 || errno == ENOENT)
        return 0;
    return err_errno(err, "cannot remove %s", ACCESS_FILE_NAME);
}
