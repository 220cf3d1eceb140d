#include "storage/kv/bdb_fresh.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_log_end.h"
#include "util/fdio.h"
#include "util/log.h"

#define MARK_NAME "unfinished"
#define REGION_PREFIX "__db."
#define EXTENT_PREFIX "__dbq."

struct fresh_names {
    const struct kv_table *tables;
    size_t n;
};

static bool
begins_with(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* Does the name belong to a store? Regions don't count: each recovery makes them anew. */
static bool
belongs_to_store(const struct fresh_names *names, const char *name)
{
    for (size_t i = 0; i < names->n; i++)
        if (strcmp(names->tables[i].name, name) == 0)
            return true;
    return bdb_env_log_number(name) != 0 || begins_with(name, EXTENT_PREFIX) ||
           strcmp(name, BDB_LOG_END_CHECKPOINT) == 0;
}

static bool
is_name_taken(int dirfd, const char *name)
{
    return faccessat(dirfd, name, F_OK, AT_SYMLINK_NOFOLLOW) == 0;
}

/* Is there a store? 1, 0, -1. Or removes it, with its regions: 0, -1. */
static int
find_store(int dirfd, const struct fresh_names *names, bool remove, struct err *err)
{
    DIR *dir = fdio_opendir(dirfd, ".", err);
    int rc = 0;

    if (dir == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        if (!belongs_to_store(names, e->d_name) &&
            (!remove || !begins_with(e->d_name, REGION_PREFIX)))
            continue;
        rc = !remove;
        if (remove && unlinkat(dirfd, e->d_name, 0) != 0 && errno != ENOENT)
            rc = err_errno(err, "removing %s of a store that was not finished", e->d_name);
    }
    closedir(dir);
    return rc;
}

/* Only its name has to be durable now; its text is synced with the rest. */
static int
put_mark(int dirfd, struct bytes text, struct err *err)
{
    const int flags = O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC;
    int rc, fd = openat(dirfd, MARK_NAME, flags, 0600);

    if (fd < 0)
        return err_errno(err, "making %s", MARK_NAME);
    rc = fdio_write_all(fd, text.p, text.n, MARK_NAME, err);
    fdio_close(fd);
    return rc == 0 ? fdio_fsync(dirfd, MARK_NAME, err) : -1;
}

static int
begin_in(int dirfd, const struct fresh_names *names, const char *list, struct bytes text,
         struct err *err)
{
    int found;

    /* A store that was put back has no list yet. */
    if (is_name_taken(dirfd, list) || is_name_taken(dirfd, "restored")) {
        unlinkat(dirfd, MARK_NAME, 0);
        return 0;
    }
    if (is_name_taken(dirfd, MARK_NAME)) {
        log_line(LOG_INFO, "the database was not finished, and is made anew", NULL);
        if (find_store(dirfd, names, true, err) != 0)
            return -1;
    } else if ((found = find_store(dirfd, names, false, err)) != 0) {
        return found < 0 ? -1 : 0;
    }
    return put_mark(dirfd, text, err) == 0 ? 1 : -1;
}

int
bdb_fresh_begin(const char *dir, const struct kv_table *tables, size_t n, const char *list,
                struct bytes text, struct err *err)
{
    const struct fresh_names names = {tables, n};
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    rc = begin_in(dirfd, &names, list, text, err);
    fdio_close(dirfd);
    return rc;
}

/* ---- the end ---- */

/* wait: syncs the file; else the kernel begins to write it, so that the files are written side by
 * side, and share a commit of the file system's journal. */
static int
sync_one(int dirfd, const char *name, bool wait, struct err *err)
{
    int rc, fd = openat(dirfd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return err_errno(err, "opening %s", name);
    rc = wait ? fdio_fsync(fd, name, err) : 0;
    if (!wait)
        (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
    fdio_close(fd);
    return rc;
}

static int
sync_store(int dirfd, bool wait, struct err *err)
{
    DIR *dir = fdio_opendir(dirfd, ".", err);
    int rc = 0;

    if (dir == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;)
        if (e->d_type == DT_REG || e->d_type == DT_UNKNOWN)
            rc = begins_with(e->d_name, REGION_PREFIX) ? 0 : sync_one(dirfd, e->d_name, wait, err);
    closedir(dir);
    return rc;
}

static int
end_in(int dirfd, const char *dir, const char *list, struct err *err)
{
    if (sync_store(dirfd, false, err) != 0 || sync_store(dirfd, true, err) != 0 ||
        fdio_fsync(dirfd, dir, err) != 0)
        return -1;
    if (renameat(dirfd, MARK_NAME, dirfd, list) != 0)
        return err_errno(err, "renaming %s/%s", dir, MARK_NAME);
    return fdio_fsync(dirfd, dir, err);
}

int
bdb_fresh_end(const char *dir, const char *list, struct err *err)
{
    int rc, dirfd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    if (dirfd < 0)
        return err_errno(err, "opening %s", dir);
    rc = end_in(dirfd, dir, list, err);
    fdio_close(dirfd);
    return rc;
}
