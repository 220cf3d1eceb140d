#include "storage/kv/bdb_filling.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include "storage/kv/bdb.h"
#include "storage/kv/bdb_adopt.h"
#include "storage/kv/bdb_backup.h"
#include "storage/kv/bdb_check.h"
#include "storage/kv/bdb_copy.h"
#include "storage/kv/bdb_cursor.h"
#include "storage/kv/bdb_env.h"
#include "storage/kv/bdb_log_cut.h"
#include "storage/kv/bdb_log_end.h"
#include "storage/kv/bdb_recovery.h"
#include "storage/kv/bdb_stats.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/pack.h"

/* ---- opening ---- */

#define ATTACH_RETRIES 20
#define ATTACH_PAUSE_MS 10

/* Before it is open, a process can't see whether the environment is lost: it tries again. */
static int
attach(struct bdb *b, struct err *err)
{
    int rc = bdb_env_attach(b, false, err);

    for (int i = 0; rc != 0 && err->sys == DB_RUNRECOVERY && i < ATTACH_RETRIES; i++) {
        (void)bdb_env_detach(b);
        clock_sleep_ms(ATTACH_PAUSE_MS);
        rc = bdb_env_attach(b, false, err);
    }
    return rc;
}

static struct kv *
bdb_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
         void (*lost)(const char *why), struct err *err)
{
    struct bdb *b = bdb_new(dir, tables, n);

    b->slot = slot;
    b->lost = lost;
    bdb_enter(b);
    if (attach(b, err) != 0) {
        if (bdb_is_fatal(b, err->sys))
            bdb_lost(b, err->message);
        (void)bdb_env_detach(b);
        /* A store that can't be opened needs a recovery, so in_db stays true. But a recovery makes
         * no room on a full disk, and would interrupt the processes that still read. */
        if (err->code == ERR_NO_SPACE)
            bdb_leave(b);
        bdb_free(b);
        return NULL;
    }
    bdb_leave(b);
    return &b->kv;
}

static struct kv *
bdb_backup_open(const char *dir, const struct kv_table *tables, size_t n, struct err *err)
{
    struct bdb *b = bdb_new(dir, tables, n);

    if (bdb_env_open_quiet(b, err) == 0)
        return &b->kv;
    (void)bdb_env_detach(b);
    bdb_free(b);
    return NULL;
}

static void
bdb_close(struct kv *kv)
{
    struct bdb *b = (struct bdb *)kv;
    int ret;

    assert(b->depth == 0);
    bdb_enter(b);
    /* Asked before: without the environment nobody can see whether its mark stays. One that is lost
     * meanwhile, the other processes find. */
    if (!b->is_quiet && bdb_is_lost(b))
        bdb_lost(b, "closing failed");
    ret = bdb_env_detach(b);
    /* Closing writes to the log, too. It leaves no more in the regions than a dead process does. */
    if (ret != 0)
        log_line(LOG_WARN, "closing the store failed", "why=%s", db_strerror(ret));
    bdb_leave(b);
    bdb_free(b);
}

/* ---- transactions ---- */

static int
bdb_begin(struct kv *kv, unsigned tries, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    int ret;

    if (tries > 0)
        bdb_pause();
    bdb_enter(b);
    ret = b->env->txn_begin(b->env, NULL, &b->txn, 0);
    if (bdb_is_conflict(b, ret))
        ret = b->env->txn_begin(b->env, NULL, &b->txn, 0);
    if (ret == 0)
        return 0;
    bdb_fail_env(b, ret, "transaction in", err);
    b->txn = NULL;
    bdb_leave(b);
    return -1;
}

static int
bdb_commit(struct txn *t, struct err *err)
{
    struct bdb *b = bdb_of(t);
    /* Without writes the library writes no log, and waits for nothing. */
    uint32_t flags = t->relaxed ? DB_TXN_WRITE_NOSYNC : DB_TXN_SYNC;
    /* It can't be tried again, since the handle may be gone: therefore this looks before. */
    int ret = bdb_is_lost(b) ? DB_RUNRECOVERY : b->txn->commit(b->txn, flags);

    b->txn = NULL;
    /* When the library can't begin a log file, it marks the environment as lost, and returns 0. */
    if (ret == 0 && bdb_is_lost(b))
        ret = DB_RUNRECOVERY;
    if (ret == DB_RUNRECOVERY)
        bdb_lost(b, "commit of a transaction failed");
    if (ret != 0) {
        bdb_fail_env(b, ret, "commit in", err);
        t->doom = *err;
    }
    bdb_leave(b);
    return ret == 0 ? 0 : -1;
}

static void
bdb_abort(struct txn *t)
{
    struct bdb *b = bdb_of(t);

    if (bdb_is_lost(b) || b->txn->abort(b->txn) != 0)
        bdb_lost(b, "abort of a transaction failed");
    b->txn = NULL;
    bdb_leave(b);
}

/* ---- one key ---- */

static int
bdb_get(struct txn *t, unsigned table, struct bytes key, bool for_update, struct buf *val,
        struct err *err)
{
    struct bdb *b = bdb_of(t);
    DB *db = b->db[table];
    uint32_t flags = for_update ? DB_RMW : 0;
    DBT k, v;
    struct bytes found;
    int ret, rc;

    if (!bdb_key(b, table, key, &k))
        return 0;
    bdb_enter(b);
    for (int i = 0;; i++) {
        v = (DBT){0};
        ret = val == NULL ? db->exists(db, bdb_txn(t), &k, flags)
                          : db->get(db, bdb_txn(t), &k, &v, flags);
        if (!bdb_is_conflict(b, ret) || !t->is_reads || i == BDB_RETRIES)
            break;
        bdb_cursor_release_all(b);
        bdb_pause();
    }
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        rc = 0;
    else if (ret != 0)
        rc = bdb_fail(t, ret, "reading table", table, err);
    else if (val != NULL && (bdb_value(b, table, &v, &found, err) != 0 ||
                             bdb_copy(b, table, found, val, err) != 0))
        rc = -1;
    else
        rc = 1;
    bdb_leave(b);
    return rc;
}

/* A read costs a microsecond here: nothing to fetch ahead. */
static int
bdb_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    DB *db = bdb_of(t)->db[table];
    DBT k = bdb_dbt(key.p, key.n), v = bdb_dbt(val.p, val.n);
    int ret = db->put(db, bdb_txn(t), &k, &v, 0);

    return ret == 0 ? 0 : bdb_fail(t, ret, "writing table", table, err);
}

static int
bdb_delete(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    struct bdb *b = bdb_of(t);
    DB *db = b->db[table];
    DBT k;
    int ret;

    if (!bdb_key(b, table, key, &k))
        return 0;
    ret = db->del(db, bdb_txn(t), &k, 0);
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        return 0;
    return ret == 0 ? 1 : bdb_fail(t, ret, "deleting from table", table, err);
}

static int
bdb_drop(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    return bdb_delete(t, table, key, err) < 0 ? -1 : 0;
}

/* A record of a queue, as the library has it: valid until the next one. */
static DBT
pack_record(struct bdb *b, struct bytes val)
{
    pack_uint_at(b->record, val.n, BDB_LENGTH_BYTES);
    if (val.n > 0)
        memcpy(b->record + BDB_LENGTH_BYTES, val.p, val.n);
    return bdb_dbt(b->record, val.n + BDB_LENGTH_BYTES);
}

static int
bdb_append(struct txn *t, unsigned table, struct bytes val, struct err *err)
{
    struct bdb *b = bdb_of(t);
    DB *db = b->db[table];
    db_recno_t number = 0;
    DBT k = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};
    DBT v = pack_record(b, val);
    int ret = db->put(db, bdb_txn(t), &k, &v, DB_APPEND);

    return ret == 0 ? 0 : bdb_fail(t, ret, "appending to table", table, err);
}

static int
bdb_place(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    struct bdb *b = bdb_of(t);
    DB *db = b->db[table];
    DBT k, v = pack_record(b, val);
    int ret;

    if (!bdb_key(b, table, key, &k))
        return err_set(err, ERR_SYSTEM, "table %s: a record with number 0", b->tables[table].name);
    ret = db->put(db, bdb_txn(t), &k, &v, 0);
    return ret == 0 ? 0 : bdb_fail(t, ret, "placing in table", table, err);
}

static int
bdb_flush(struct kv *kv, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    int ret;

    bdb_enter(b);
    ret = b->env->log_flush(b->env, NULL);
    if (ret == 0 && bdb_is_lost(b)) /* as in bdb_commit */
        ret = DB_RUNRECOVERY;
    if (ret != 0)
        bdb_fail_env(b, ret, "flushing the log of", err);
    bdb_leave(b);
    return ret == 0 ? 0 : -1;
}

/* ---- upkeep ---- */

/* The library fsyncs files, but not the directory with their names. */
static int
bdb_sync_directory(struct bdb *b, struct err *err)
{
    struct stat st;

    if (stat(b->kv.dir, &st) != 0)
        return err_errno(err, "looking at %s", b->kv.dir);
    if (st.st_mtim.tv_sec == b->synced.tv_sec && st.st_mtim.tv_nsec == b->synced.tv_nsec)
        return 0;
    if (fdio_fsync_dir(AT_FDCWD, b->kv.dir, err) != 0)
        return -1;
    b->synced = st.st_mtim;
    return 0;
}

static int
bdb_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    int ret;

    bdb_enter(b);
    ret = b->env->txn_checkpoint(b->env, log_kbytes, minutes, 0);
    if (ret != 0)
        bdb_fail_env(b, ret, "checkpoint of", err);
    else
        bdb_log_end_note(b);
    bdb_leave(b);
    return ret == 0 ? bdb_sync_directory(b, err) : -1;
}

/* Only a checkpoint makes logs superfluous. */
static int
last_checkpoint(struct bdb *b, DB_LSN *at, struct err *err)
{
    int ret;

    bdb_enter(b);
    ret = bdb_log_end_last(b, at);
    if (ret != 0)
        bdb_fail_env(b, ret, "looking at the checkpoints of", err);
    bdb_leave(b);
    return ret == 0 ? 0 : -1;
}

static int
bdb_trim_logs(struct kv *kv, struct err *err)
{
    struct bdb *b = (struct bdb *)kv;
    DB_LSN at;
    char path[4096];
    int fd, ret, rc = 0;
    int n = snprintf(path, sizeof path, "%s/backup.lock", kv->dir);

    if (last_checkpoint(b, &at, err) != 0)
        return -1;
    if (log_compare(&at, &b->trimmed) == 0)
        return 0;
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(err, ERR_SYSTEM, "name too long: %s", kv->dir);
    fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_errno(err, "opening %s", path);
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        bdb_enter(b);
        ret = b->env->log_archive(b->env, NULL, DB_ARCH_REMOVE);
        if (ret != 0)
            rc = bdb_fail_env(b, ret, "trimming the log of", err);
        else
            b->trimmed = at;
        bdb_leave(b);
    } else if (errno != EWOULDBLOCK) {
        rc = err_errno(err, "locking %s", path);
    }
    fdio_close(fd);
    return rc;
}

const struct kv_filling bdb_filling = {
    .recover = bdb_recovery_run,
    .open = bdb_open,
    .close = bdb_close,
    .begin = bdb_begin,
    .commit = bdb_commit,
    .abort = bdb_abort,
    .get = bdb_get,
    .put = bdb_put,
    .delete = bdb_delete,
    .drop = bdb_drop,
    .append = bdb_append,
    .place = bdb_place,
    .cursor_open = bdb_cursor_open,
    .cursor_close = bdb_cursor_close,
    .cursor_seek = bdb_cursor_seek,
    .cursor_next = bdb_cursor_next,
    .last = bdb_cursor_last,
    .flush = bdb_flush,
    .checkpoint = bdb_checkpoint,
    .stats = bdb_stats_get,
    .trim_logs = bdb_trim_logs,
    .copy = bdb_backup_copy,
    .mend = bdb_backup_mend,
    .cut_logs = bdb_log_cut_run,
    .take_tables = bdb_adopt_run,
    .note_stop = bdb_adopt_note_stop,
    .verify = bdb_backup_verify,
    .log_number = bdb_env_log_number,
    .open_quiet = bdb_backup_open,
    .make = bdb_backup_make,
    .made = bdb_backup_made,
    .copy_size = bdb_copy_size,
    .copy_files = bdb_copy_files,
    .check_copy = bdb_check_copy,
};
