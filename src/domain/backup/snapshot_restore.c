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

#define LOGS_NAME "snapshots/logs"
#define RESTORED_NAME "db/restored" /* the logs below snapshots/ are those of another database */
#define RESTORED_FILE "restored"
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

/* ---- one way to a database ---- */

#define NO_LOGS UINT32_MAX

/* name NULL: only the logs. first: of the logs that follow, or NO_LOGS. */
static int
try_snapshot(int root, const char *name, uint32_t first, const char *to, struct err *err)
{
    char path[64];
    int rc = empty_directory(root, to, err);

    snprintf(path, sizeof path, "snapshots/%s", name != NULL ? name : "");
    if (rc == 0 && name != NULL)
        rc = copy_store_files(root, path, to, true, first == NO_LOGS ? 1 : NO_LOGS, err);
    if (rc == 0 && first != NO_LOGS)
        rc = copy_store_files(root, LOGS_NAME, to, false, first, err);
    return rc == 0 ? kv_backup_mend(to, tables, TABLE_COUNT, err) : -1;
}

/* The newest, with everything since: 1, 0 (it can't be used), -1. */
static int
try_newest(int root, const struct snapshots *s, const char *to, struct snapshot_restored *done,
           struct err *err)
{
    const char *name = s->n > 0 ? s->names[s->n - 1] : NULL;
    uint32_t first = 1;

    if ((name != NULL && !snapshot_first_log(root, name, &first)) ||
        !snapshot_has_logs(root, first))
        return 0;
    if (try_snapshot(root, name, first, to, err) != 0)
        return err->code == ERR_CORRUPT ? 0 : -1;
    snprintf(done->name, sizeof done->name, "%s", name != NULL ? name : "");
    done->with_logs = true;
    return 1;
}

static int
try_all(int root, const struct snapshots *s, const char *to, struct snapshot_restored *done,
        struct err *err)
{
    int rc = faccessat(root, RESTORED_NAME, F_OK, 0) == 0 ? 0 : try_newest(root, s, to, done, err);

    for (size_t i = s->n; rc == 0 && i > 0; i--) {
        rc = try_snapshot(root, s->names[i - 1], NO_LOGS, to, err) == 0 ? 1 : -1;
        if (rc == 1)
            snprintf(done->name, sizeof done->name, "%s", s->names[i - 1]);
        else if (err->code == ERR_CORRUPT)
            rc = 0;
    }
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
        if (strcmp(s->names[i], name) == 0) {
            snprintf(done->name, sizeof done->name, "%s", name);
            return try_snapshot(root, name, NO_LOGS, to, err);
        }
    return err_set(err, ERR_BAD_REQUEST, "there is no snapshot %.100s: snapshot --list prints them",
                   name);
}

int
snapshot_restore_make(int root, const char *name, const char *to, struct snapshot_restored *done,
                      struct err *err)
{
    char path[128];
    struct snapshots s;
    int rc = snapshot_list(root, &s, err);

    *done = (struct snapshot_restored){.with_logs = false};
    if (rc == 0)
        rc = name != NULL ? try_named(root, &s, name, to, done, err)
                          : try_all(root, &s, to, done, err);
    snprintf(path, sizeof path, "%s/" RESTORED_FILE, to);
    if (rc == 0)
        rc = fdio_replace_file(root, path, 0600, bytes_str(""), err);
    free(s.names);
    return rc;
}

void
snapshot_restore_drop(int root, const char *to)
{
    struct err ignored;

    empty_directory(root, to, &ignored);
}

int
snapshot_restore_settle(int root, struct err *err)
{
    char aside[64], time[BACKUP_TIME_MAX];
    uint64_t second = clock_wall_ms() / 1000;
    int rc;

    if (faccessat(root, RESTORED_NAME, F_OK, AT_SYMLINK_NOFOLLOW) != 0)
        return 0;
    do { /* two may be put aside in one second */
        backup_info_time(time, second++);
        snprintf(aside, sizeof aside, LOGS_NAME ".%s", time);
        rc = renameat2(root, LOGS_NAME, root, aside, RENAME_NOREPLACE);
    } while (rc != 0 && errno == EEXIST);
    if (rc != 0 && errno != ENOENT)
        return err_errno(err, "cannot rename " LOGS_NAME);
    if (fdio_mkdir(root, LOGS_NAME, 0700, err) < 0 || fdio_fsync_dir(root, "snapshots", err) != 0)
        return -1;
    if (unlinkat(root, RESTORED_NAME, 0) != 0)
        return err_errno(err, "cannot remove " RESTORED_NAME);
    return 0;
}
