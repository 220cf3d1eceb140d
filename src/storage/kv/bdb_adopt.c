#include "storage/kv/bdb_adopt.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/kv/bdb_backup.h"
#include "storage/kv/bdb_copy.h"
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_log_end.h"
#include "storage/kv/bdb_log_read.h"
#include "util/fdio.h"

/* A damaged log is usually found when a server starts, after it was stopped cleanly: the tables
 * have everything, and only the log is bad. */

#define HEAD_BYTES 12 /* of a record of the log: before its type */
#define CHECKPOINT_BEGAN_AT 16
#define NEW_LOG_DIR "log.new"

enum record_type {
    RECORD_FILE_OPENED = 2, /* DB___dbreg_register */
    RECORD_COMMIT = 10,     /* DB___txn_regop; the changes are in records before it */
    RECORD_CHECKPOINT = 11, /* DB___txn_ckp */
    RECORD_RECYCLE = 14,    /* DB___txn_recycle */
};

/* ---- was everything written to the tables? ---- */

static uint32_t
type_of_record(struct bytes log, uint64_t at)
{
    uint32_t type = 0;

    if (at + HEAD_BYTES + sizeof type <= log.n)
        memcpy(&type, (const uint8_t *)log.p + at + HEAD_BYTES, sizeof type);
    return type;
}

static bool
changes_nothing(uint32_t type)
{
    return type == RECORD_FILE_OPENED || type == RECORD_COMMIT || type == RECORD_CHECKPOINT ||
           type == RECORD_RECYCLE || type >= DB_user_BEGIN;
}

/* Where the checkpoint at that place began. Everything that was logged before it is in the tables.
 * 0: it isn't known. */
static uint32_t
begin_of_checkpoint(struct bytes log, const DB_LSN *checkpoint)
{
    uint64_t from = (uint64_t)checkpoint->offset + HEAD_BYTES + CHECKPOINT_BEGAN_AT;
    DB_LSN began;

    if (from + sizeof began > log.n || type_of_record(log, checkpoint->offset) != RECORD_CHECKPOINT)
        return 0;
    memcpy(&began, (const uint8_t *)log.p + from, sizeof began);
    return began.file == checkpoint->file ? began.offset : 0;
}

static bool
has_all_in_tables(struct bytes log, const DB_LSN *checkpoint)
{
    uint64_t at = begin_of_checkpoint(log, checkpoint), before = 0;
    bool seen = false;

    if (at == 0)
        return false;
    for (struct bdb_log_head h; (h = bdb_log_read_head(log, at)).length != 0; at += h.length) {
        if (h.length <= HEAD_BYTES || h.length > log.n - at ||
            (before != 0 && h.before != before) || !changes_nothing(type_of_record(log, at)))
            return false;
        seen = seen || at == checkpoint->offset;
        before = at;
    }
    return seen && bdb_log_read_used(log) <= at;
}

static bool
has_later_log(const char *dir, uint32_t number)
{
    char name[BDB_LOG_READ_NAME_MAX], path[4096];
    struct stat st;

    bdb_log_read_name(name, number + 1);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return stat(path, &st) == 0;
}

/* *last: the log that they end in. */
static int
check_tables_have_all(const char *store, uint32_t *last, struct err *err)
{
    DB_LSN checkpoint = {0, 0};
    struct buf log;
    int rc = bdb_log_end_noted(store, &checkpoint, err);
    bool all;

    *last = checkpoint.file;
    if (rc <= 0)
        return rc == 0 ? err_set(err, ERR_CORRUPT, "%s has no checkpoint", store) : -1;
    buf_init(&log, 2 * BDB_ENV_LOG_FILE);
    rc = bdb_log_read_file(store, checkpoint.file, &log, err);
    all = rc == 1 && !has_later_log(store, checkpoint.file) &&
          has_all_in_tables(buf_bytes(&log), &checkpoint);
    buf_free(&log);
    if (rc < 0)
        return -1;
    /* The end of the log may be cut off: then only the note of the stop tells. */
    all = all || bdb_log_end_stopped(store, &checkpoint);
    return all ? 0 : err_set(err, ERR_CORRUPT, "the tables in %s lack what is in its log", store);
}

int
bdb_adopt_note_stop(const char *store, struct err *err)
{
    DB_LSN checkpoint;
    uint32_t last;

    if (check_tables_have_all(store, &last, err) != 0 ||
        bdb_log_end_noted(store, &checkpoint, err) != 1)
        return -1;
    return bdb_log_end_note_stop(store, &checkpoint, err);
}

/* ---- a store of these tables ---- */

static int
count_nothing(void *arg, uint64_t n, struct err *err)
{
    (void)arg;
    (void)n;
    (void)err;
    return 0;
}

/* The files that were copied with the tables. */
static int
drop_copied_logs(const char *dir, struct err *err)
{
    DIR *d = fdio_opendir(AT_FDCWD, dir, err);

    if (d == NULL)
        return -1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (bdb_env_log_number(e->d_name) > 0 || strcmp(e->d_name, BDB_COPY_TABLES) == 0 ||
            strcmp(e->d_name, "checkpoint") == 0 || strcmp(e->d_name, "stopped") == 0)
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
    return 0;
}

static int
write_first_record(const char *dir)
{
    const uint32_t type = DB_user_BEGIN;
    DBT record = bdb_dbt(&type, sizeof type);
    DB_ENV *env;
    DB_LSN at;
    int closed, ret = db_env_create(&env, 0);

    if (ret != 0)
        return ret;
    if ((ret = env->set_lg_max(env, BDB_ENV_LOG_FILE)) == 0 &&
        (ret = env->open(env, dir, DB_CREATE | DB_PRIVATE | DB_INIT_LOG, BDB_ENV_FILE_MODE)) == 0)
        ret = env->log_put(env, &at, &record, DB_FLUSH);
    closed = env->close(env, 0);
    return ret != 0 ? ret : closed;
}

/* The pages have places of the old log, so the new one has to have a higher number. The library
 * begins with number 1 in an empty directory; a log doesn't contain its number. */
static int
begin_log(const char *dir, uint32_t number, struct err *err)
{
    char name[BDB_LOG_READ_NAME_MAX], made[4096], from[4096], to[4096];
    int ret, rc;

    bdb_log_read_name(name, 1);
    snprintf(made, sizeof made, "%s/" NEW_LOG_DIR, dir);
    if ((size_t)snprintf(from, sizeof from, "%s/" NEW_LOG_DIR "/%s", dir, name) >= sizeof from)
        return err_set(err, ERR_SYSTEM, "name too long: %s", dir);
    bdb_log_read_name(name, number);
    snprintf(to, sizeof to, "%s/%s", dir, name);
    if (fdio_mkdir(AT_FDCWD, made, 0700, err) < 0)
        return -1;
    ret = write_first_record(made);
    if (ret != 0)
        rc = bdb_error(err, ret, "beginning a log in", dir);
    else
        rc = rename(from, to) == 0 ? 0 : err_errno(err, "cannot rename %s", from);
    if (rc == 0)
        rc = fdio_remove_tree(AT_FDCWD, made, err);
    return rc;
}

int
bdb_adopt_run(const char *store, const char *to, const struct kv_table *tables, size_t n,
              struct err *err)
{
    uint32_t last;

    if (check_tables_have_all(store, &last, err) != 0 ||
        bdb_copy_files(store, to, count_nothing, NULL, err) != 0 ||
        drop_copied_logs(to, err) != 0 || bdb_backup_verify(to, tables, n, err) != 0 ||
        begin_log(to, last + 1, err) != 0)
        return -1;
    return bdb_backup_mend(to, tables, n, err);
}
