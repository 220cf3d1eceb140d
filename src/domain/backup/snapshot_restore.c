#include "domain/backup/snapshot_restore.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/backup_file.h"
#include "domain/backup/snapshot.h"
#include "storage/kv/kv_backup.h"
#include "storage/tables/tables.h"
#include "util/clock.h"
#include "util/fdio.h"

#define STORE_NAME "db"
#define LOGS_NAME "snapshots/logs"
#define FIRST_LOG_FILE "first-log"

static bool
never_over(void *arg)
{
    (void)arg;
    return false;
}

/* ---- files ---- */

static int
empty_directory(int root, const char *name, struct err *err)
{
    DIR *dir = fdio_opendir(root, name, err);
    int rc = 0;

    if (dir == NULL)
        return -1;
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 &&
            unlinkat(dirfd(dir), e->d_name, 0) != 0)
            rc = err_errno(err, "cannot remove %s/%s", name, e->d_name);
    closedir(dir);
    return rc;
}

static int
copy_one_file(int from_dir, int to_dir, const char *name, struct err *err)
{
    int from = openat(from_dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    int to = -1, rc = from >= 0 ? 0 : err_errno(err, "cannot open %s", name);
    struct digest ignored;
    uint64_t size;

    if (rc == 0 && (to = openat(to_dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW,
                                0640)) < 0)
        rc = err_errno(err, "cannot make %s", name);
    if (rc == 0)
        rc =
            backup_file_copy(to, from, DIGEST_SHA256, &ignored, &size, never_over, NULL, name, err);
    fdio_close(from);
    fdio_close(to);
    return rc;
}

/* Copies the files of a directory: its logs from number `first` on, and with `others` what is no
 * log. */
static int
copy_store_files(int root, const char *from, const char *to, bool others, uint32_t first,
                 struct err *err)
{
    DIR *dir = fdio_opendir(root, from, err);
    int to_dir, rc = 0;

    if (dir == NULL)
        return -1;
    to_dir = openat(root, to, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (to_dir < 0)
        rc = err_errno(err, "cannot open %s", to);
    for (const struct dirent *e; rc == 0 && (e = readdir(dir)) != NULL;) {
        uint32_t number = kv_backup_log_number(e->d_name);

        if (e->d_name[0] != '.' && strcmp(e->d_name, FIRST_LOG_FILE) != 0 &&
            (number > 0 ? number >= first : others))
            rc = copy_one_file(dirfd(dir), to_dir, e->d_name, err);
    }
    closedir(dir);
    fdio_close(to_dir);
    return rc;
}

/* ---- ways to a database ---- */

#define NO_LOGS UINT32_MAX

/* name NULL: only the logs. first: of the logs that follow, or NO_LOGS. */
static int
copy_snapshot(int root, const char *name, uint32_t first, const char *to, struct err *err)
{
    char path[64];
    int rc = empty_directory(root, to, err);

    snprintf(path, sizeof path, "snapshots/%s", name != NULL ? name : "");
    if (rc == 0 && name != NULL)
        rc = copy_store_files(root, path, to, true, first == NO_LOGS ? 1 : NO_LOGS, err);
    if (rc == 0 && first != NO_LOGS)
        rc = copy_store_files(root, LOGS_NAME, to, false, first, err);
    return rc;
}

/* 1, 0 (it is damaged), -1. */
static int
judge_way(int rc, const struct err *err)
{
    return rc == 0 ? 1 : err->code == ERR_CORRUPT ? 0 : -1;
}

static int
try_snapshot(int root, const char *name, const char *to, struct snapshot_restored *done,
             struct err *err)
{
    int rc = copy_snapshot(root, name, NO_LOGS, to, err);

    if (rc == 0)
        rc = kv_backup_mend(to, tables, TABLE_COUNT, err);
    if (rc == 0)
        snprintf(done->name, sizeof done->name, "%s", name);
    return judge_way(rc, err);
}

/* The newest, with the logs since. damaged: also if not all of them can be read. 1, 0, -1. */
static int
try_newest(int root, const struct snapshots *s, bool damaged, const char *to,
           struct snapshot_restored *done, struct err *err)
{
    const char *name = s->n > 0 ? s->names[s->n - 1] : NULL;
    uint32_t first = 1;
    int rc;

    if ((name != NULL && !snapshot_first_log(root, name, &first)) || !snapshot_has_log(root, first))
        return 0;
    rc = copy_snapshot(root, name, first, to, err);
    if (rc == 0)
        rc = kv_backup_cut_logs(to, STORE_NAME, &done->logs, err);
    if (rc == 0 && !damaged && !done->logs.is_whole)
        return 0;
    if (rc == 0)
        rc = kv_backup_mend(to, tables, TABLE_COUNT, err);
    if (rc == 0) {
        snprintf(done->name, sizeof done->name, "%s", name != NULL ? name : "");
        done->with_logs = true;
    }
    return judge_way(rc, err);
}

/* After a clean stop they have everything, and only a log may be damaged. */
static int
try_tables(int root, const char *to, struct snapshot_restored *done, struct err *err)
{
    int rc;

    if (faccessat(root, STORE_NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    rc = empty_directory(root, to, err);
    if (rc == 0)
        rc = kv_backup_take_tables(STORE_NAME, to, tables, TABLE_COUNT, err);
    done->from_tables = rc == 0;
    return judge_way(rc, err);
}

static int
try_all(int root, const struct snapshots *s, const char *to, struct snapshot_restored *done,
        struct err *err)
{
    int rc = try_newest(root, s, false, to, done, err);

    if (rc == 0)
        rc = try_tables(root, to, done, err);
    if (rc == 0)
        rc = try_newest(root, s, true, to, done, err);
    for (size_t i = s->n; rc == 0 && i > 0; i--)
        rc = try_snapshot(root, s->names[i - 1], to, done, err);
    if (rc == 0)
        return err_set(err, ERR_CORRUPT,
                       "there is no snapshot that can be used: restore a backup instead");
    return rc < 0 ? -1 : 0;
}

static int
try_named(int root, const struct snapshots *s, const char *name, const char *to,
          struct snapshot_restored *done, struct err *err)
{
    for (size_t i = 0; i < s->n; i++)
        if (strcmp(s->names[i], name) == 0)
            return try_snapshot(root, name, to, done, err) == 1 ? 0 : -1;
    return err_set(err, ERR_BAD_REQUEST, "there is no snapshot %.100s: snapshot --list prints them",
                   name);
}

/* A database that is lost again before the next snapshot would otherwise lose all that came since.
 * Without room for it, the database is there once. */
static void
copy_database(int root, const char *from, struct snapshot_restored *done)
{
    struct err err;

    done->is_copied = snapshot_begin_copy(root, from, &err) == 0 &&
                      copy_store_files(root, from, SNAPSHOT_COPY, true, 1, &err) == 0 &&
                      snapshot_end_copy(root, from, &err) == 0;
    if (!done->is_copied)
        snprintf(done->why_not, sizeof done->why_not, "%s", err.message);
}

int
snapshot_restore_make(int root, const char *name, const char *to, struct snapshot_restored *done,
                      struct err *err)
{
    struct snapshots s = {0};
    int rc = snapshot_settle_restored(root, err);

    *done = (struct snapshot_restored){.with_logs = false};
    if (rc == 0)
        rc = snapshot_list(root, &s, err);
    if (rc == 0)
        rc = name != NULL ? try_named(root, &s, name, to, done, err)
                          : try_all(root, &s, to, done, err);
    if (rc == 0)
        copy_database(root, to, done);
    if (rc == 0)
        rc = snapshot_mark_restored(root, to, done->is_copied, err);
    free(s.names);
    return rc;
}

void
snapshot_restore_drop(int root, const char *to)
{
    struct err ignored;

    empty_directory(root, to, &ignored);
}
