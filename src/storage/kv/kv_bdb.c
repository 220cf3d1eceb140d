#include "storage/kv/kv_bdb.h"
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/disk_space.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/random.h"
#include "util/banned.h"

/* Transactions, single keys, queues and upkeep. */

#define PAUSE_MAX_MS 12

/* ---- what they all need ---- */

void
bdb_enter(struct kv *kv)
{
    if (kv->depth++ == 0 && kv->slot != NULL) {
        atomic_store(&kv->slot->since_ms, clock_mono_ms());
        atomic_store(&kv->slot->in_db, true);
    }
}

void
bdb_leave(struct kv *kv)
{
    assert(kv->depth > 0);
    if (--kv->depth == 0 && kv->slot != NULL)
        atomic_store(&kv->slot->in_db, false);
}

void
bdb_lost(struct kv *kv, const char *why)
{
    log_line(LOG_ERROR, "the store needs recovery", "why=%s", why);
    if (kv->lost != NULL)
        kv->lost(why);
    abort();
}

bool
bdb_is_fatal(int ret)
{
    /* Out of memory means locks, lockers or mutexes, which the dead have left behind. */
    return ret == DB_RUNRECOVERY || ret == ENOMEM;
}

bool
bdb_is_conflict(int ret)
{
    return ret == DB_LOCK_DEADLOCK || ret == DB_LOCK_NOTGRANTED;
}

void
bdb_pause(void)
{
    clock_sleep_ms(random_u64() % (PAUSE_MAX_MS + 1));
}

static enum err_code
code_of(int ret)
{
    switch (ret) {
    case DB_LOCK_DEADLOCK:
    case DB_LOCK_NOTGRANTED:
        return ERR_BUSY;
    case ENOSPC:
    case EDQUOT:
        return ERR_NO_SPACE;
    case DB_RUNRECOVERY:
    case DB_PAGE_NOTFOUND:
    case DB_VERIFY_BAD:
    case DB_OLD_VERSION:
        return ERR_CORRUPT;
    default:
        return ERR_SYSTEM;
    }
}

int
bdb_error(struct err *err, int ret, const char *what, const char *name)
{
    err_set(err, code_of(ret), "%s %s: %s", what, name, db_strerror(ret));
    err->sys = ret;
    return -1;
}

int
bdb_fail_env(struct kv *kv, int ret, const char *what, struct err *err)
{
    bdb_error(err, ret, what, kv->dir);
    if (bdb_is_fatal(ret))
        bdb_lost(kv, err->message);
    return -1;
}

int
bdb_fail(struct txn *t, int ret, const char *what, unsigned table, struct err *err)
{
    bdb_error(err, ret, what, t->kv->tables[table].name);
    if (bdb_is_fatal(ret))
        bdb_lost(t->kv, err->message);
    if (t->id != NULL)
        t->doom = *err;
    return -1;
}

int
bdb_check(const struct txn *t, unsigned table, bool write, struct err *err)
{
    assert(table < t->kv->n);
    if (t->doom.code != ERR_NONE) {
        *err = t->doom;
        return -1;
    }
    if (t->id == NULL && write)
        return err_set(err, ERR_SYSTEM, "table %s: a write outside a transaction",
                       t->kv->tables[table].name);
    if (t->id == NULL && t->kv->txn.id != NULL)
        return err_set(err, ERR_SYSTEM, "table %s: a read beside a transaction",
                       t->kv->tables[table].name);
    return 0;
}

uint32_t
bdb_get_u32(const void *p)
{
    const uint8_t *b = p;
    return (uint32_t)b[0] << 24 | (uint32_t)b[1] << 16 | (uint32_t)b[2] << 8 | b[3];
}

void
bdb_put_u32(void *p, uint32_t v)
{
    uint8_t *b = p;
    b[0] = (uint8_t)(v >> 24);
    b[1] = (uint8_t)(v >> 16);
    b[2] = (uint8_t)(v >> 8);
    b[3] = (uint8_t)v;
}

int
bdb_key(struct kv *kv, unsigned table, struct bytes key, DBT *dbt, struct err *err)
{
    const struct kv_table *t = &kv->tables[table];

    if (t->kind == KV_ORDERED) {
        if (key.n > INT32_MAX)
            return err_set(err, ERR_TOO_LARGE, "table %s: key of %zu bytes", t->name, key.n);
        *dbt = bdb_dbt(key.p, key.n);
        return 1;
    }
    if (key.n != sizeof kv->recno)
        return err_set(err, ERR_SYSTEM, "table %s: key of %zu bytes", t->name, key.n);
    kv->recno = bdb_get_u32(key.p);
    *dbt = bdb_dbt(&kv->recno, sizeof kv->recno);
    return kv->recno != 0;
}

int
bdb_value(const struct txn *t, unsigned table, const DBT *dbt, struct bytes *val, struct err *err)
{
    const struct kv_table *def = &t->kv->tables[table];
    const uint8_t *p = dbt->data;

    *val = bytes_of(dbt->data, dbt->size);
    if (def->kind == KV_ORDERED)
        return 0;
    size_t n = dbt->size < BDB_LENGTH_BYTES ? SIZE_MAX : (size_t)p[0] << 8 | p[1];
    if (n > dbt->size || dbt->size - n < BDB_LENGTH_BYTES)
        return err_set(err, ERR_CORRUPT, "table %s: bad record", def->name);
    *val = bytes_of(p + BDB_LENGTH_BYTES, n);
    return 0;
}

int
bdb_copy(const struct txn *t, unsigned table, struct bytes from, struct buf *out, struct err *err)
{
    const char *name = t->kv->tables[table].name;

    if (out == NULL)
        return 0;
    buf_reset(out);
    if (from.n > out->max)
        return err_set(err, ERR_CORRUPT, "table %s: %zu bytes, expected at most %zu", name, from.n,
                       out->max);
    buf_put(out, from.p, from.n);
    if (!buf_ok(out))
        return err_set(err, ERR_SYSTEM, "table %s: out of memory", name);
    return 0;
}

/* ---- opening ---- */

struct kv *
kv_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
        void (*lost)(const char *why), struct err *err)
{
    struct kv *kv = bdb_new(dir, tables, n, err);
    if (kv == NULL)
        return NULL;
    kv->slot = slot;
    kv->lost = lost;

    bdb_enter(kv);
    if (bdb_attach(kv, false, err) != 0) {
        if (bdb_is_fatal(err->sys))
            bdb_lost(kv, err->message);
        (void)bdb_detach(kv);
        /* A store that can't be joined is a case for recovery, so in_db stays. But recovery makes
         * no room on a disk, and would take the store from those who still read. */
        if (err->code == ERR_NO_SPACE)
            bdb_leave(kv);
        bdb_free(kv);
        return NULL;
    }
    bdb_leave(kv);
    return kv;
}

void
kv_close(struct kv *kv)
{
    if (kv == NULL)
        return;
    assert(kv->depth == 0);

    bdb_enter(kv);
    int ret = bdb_detach(kv);
    if (bdb_is_fatal(ret))
        bdb_lost(kv, "closing failed");
    /* Closing writes to the log, too. What stays in the regions is what the dead leave as well. */
    if (ret != 0)
        log_line(LOG_WARN, "closing the store failed", "why=%s", db_strerror(ret));
    bdb_leave(kv);
    bdb_free(kv);
}

/* ---- transactions ---- */

struct txn *
kv_reads(struct kv *kv)
{
    return &kv->reads;
}

/* Commits. 0 or -1; after a conflict t is doomed with ERR_BUSY. */
static int
commit(struct txn *t, struct err *err)
{
    DB_TXN *id = t->id;
    int ret = id->commit(id, 0);

    if (ret == 0)
        return 0;
    bdb_fail_env(t->kv, ret, "commit in", err);
    t->doom = *err;
    return -1;
}

/* One try. *conflict: it is worth another. */
static int
run_once(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
         bool *conflict, struct err *err)
{
    struct txn *t = &kv->txn;
    int ret, result;

    bdb_enter(kv);
    t->doom = (struct err){0};
    if ((ret = kv->env->txn_begin(kv->env, NULL, &t->id, 0)) != 0) {
        t->id = NULL;
        bdb_fail_env(kv, ret, "transaction in", err);
        bdb_leave(kv);
        return -1;
    }

    result = fn(t, arg, err);
    assert(kv->depth == 1); /* a cursor is still open */
    if (result == 0 && t->doom.code == ERR_NONE) {
        result = commit(t, err);
    } else {
        if (t->id->abort(t->id) != 0)
            bdb_lost(kv, "abort of a transaction failed");
        if (result == 0) {
            *err = t->doom;
            result = -1;
        }
    }
    t->id = NULL;
    *conflict = t->doom.code == ERR_BUSY;
    t->doom = (struct err){0};
    bdb_leave(kv);
    return result;
}

void
kv_keep_room(struct kv *kv)
{
    kv->keep_room = open(kv->dir, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

int
txn_run(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
        struct err *err)
{
    if (kv->keep_room >= 0 && disk_space_check(kv->keep_room, 0, err) != 0)
        return -1;
    return txn_run_anyway(kv, fn, arg, err);
}

int
txn_run_anyway(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
               struct err *err)
{
    if (kv->depth != 0)
        return err_set(err, ERR_SYSTEM, "a transaction inside another, or beside an open cursor");

    for (int i = 0; i <= BDB_RETRIES; i++) {
        bool conflict = false;
        if (i > 0)
            bdb_pause();
        *err = (struct err){0};
        int result = run_once(kv, fn, arg, &conflict, err);
        if (!conflict)
            return result;
    }
    return err_set(err, ERR_BUSY, "too many conflicts with others");
}

/* ---- one key ---- */

static int
get(struct txn *t, unsigned table, struct bytes key, struct buf *val, uint32_t flags,
    struct err *err)
{
    struct kv *kv = t->kv;
    DB *db = kv->db[table];
    DBT k, v;
    struct bytes found;
    int ret;

    if (bdb_check(t, table, false, err) != 0)
        return -1;
    if ((ret = bdb_key(kv, table, key, &k, err)) != 1)
        return ret;

    bdb_enter(kv);
    for (int i = 0;; i++) {
        v = (DBT){0};
        ret = val == NULL ? db->exists(db, t->id, &k, flags) : db->get(db, t->id, &k, &v, flags);
        if (!bdb_is_conflict(ret) || t->id != NULL || i == BDB_RETRIES)
            break;
        bdb_let_go(kv);
        bdb_pause();
    }
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        ret = 0;
    else if (ret != 0)
        ret = bdb_fail(t, ret, "reading table", table, err);
    else if (val == NULL)
        ret = 1;
    else if (bdb_value(t, table, &v, &found, err) != 0 || bdb_copy(t, table, found, val, err) != 0)
        ret = -1;
    else
        ret = 1;
    bdb_leave(kv);
    return ret;
}

int
kv_get(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    return get(t, table, key, val, 0, err);
}

int
kv_get_for_update(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    if (bdb_check(t, table, true, err) != 0)
        return -1;
    return get(t, table, key, val, DB_RMW, err);
}

int
kv_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    struct kv *kv = t->kv;
    DBT k, v;

    if (bdb_check(t, table, true, err) != 0)
        return -1;
    if (kv->tables[table].kind != KV_ORDERED)
        return err_set(err, ERR_SYSTEM, "table %s: a put in a queue", kv->tables[table].name);
    if (bdb_key(kv, table, key, &k, err) != 1)
        return -1;
    if (val.n > INT32_MAX)
        return err_set(err, ERR_TOO_LARGE, "table %s: value of %zu bytes", kv->tables[table].name,
                       val.n);
    v = bdb_dbt(val.p, val.n);
    int ret = kv->db[table]->put(kv->db[table], t->id, &k, &v, 0);
    return ret == 0 ? 0 : bdb_fail(t, ret, "writing table", table, err);
}

int
kv_delete(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    struct kv *kv = t->kv;
    DBT k;
    int ret;

    if (bdb_check(t, table, true, err) != 0)
        return -1;
    if ((ret = bdb_key(kv, table, key, &k, err)) != 1)
        return ret;
    ret = kv->db[table]->del(kv->db[table], t->id, &k, 0);
    if (ret == DB_NOTFOUND || ret == DB_KEYEMPTY)
        return 0;
    return ret == 0 ? 1 : bdb_fail(t, ret, "deleting from table", table, err);
}

int
kv_append(struct txn *t, unsigned table, struct bytes val, uint32_t *seq, struct err *err)
{
    struct kv *kv = t->kv;
    const struct kv_table *def = &kv->tables[table];
    db_recno_t number = 0;
    DBT k = {.data = &number, .ulen = sizeof number, .flags = DB_DBT_USERMEM};

    if (bdb_check(t, table, true, err) != 0)
        return -1;
    if (def->kind != KV_QUEUE)
        return err_set(err, ERR_SYSTEM, "table %s is no queue", def->name);
    if (val.n > def->record_size || val.n > UINT16_MAX)
        return err_set(err, ERR_TOO_LARGE, "table %s: record of %zu bytes", def->name, val.n);
    kv->record[0] = (uint8_t)(val.n >> 8);
    kv->record[1] = (uint8_t)val.n;
    if (val.n > 0)
        memcpy(kv->record + BDB_LENGTH_BYTES, val.p, val.n);

    DBT v = bdb_dbt(kv->record, val.n + BDB_LENGTH_BYTES);
    int ret = kv->db[table]->put(kv->db[table], t->id, &k, &v, DB_APPEND);
    if (ret != 0)
        return bdb_fail(t, ret, "appending to table", table, err);
    *seq = number;
    return 0;
}

/* ---- upkeep ---- */

/* The library fsyncs files, not the directory that has their names. */
static int
sync_names(struct kv *kv, struct err *err)
{
    struct stat st;

    if (stat(kv->dir, &st) != 0)
        return err_errno(err, "looking at %s", kv->dir);
    if (st.st_mtim.tv_sec == kv->synced.tv_sec && st.st_mtim.tv_nsec == kv->synced.tv_nsec)
        return 0;
    if (fdio_fsync_dir(AT_FDCWD, kv->dir, err) != 0)
        return -1;
    kv->synced = st.st_mtim;
    return 0;
}

int
kv_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err)
{
    bdb_enter(kv);
    int ret = kv->env->txn_checkpoint(kv->env, log_kbytes, minutes, 0);
    if (ret != 0)
        ret = bdb_fail_env(kv, ret, "checkpoint of", err);
    bdb_leave(kv);
    return ret == 0 ? sync_names(kv, err) : -1;
}

int
kv_trim_logs(struct kv *kv, struct err *err)
{
    char path[4096];

    int n = snprintf(path, sizeof path, "%s/backup.lock", kv->dir);
    if (n < 0 || (size_t)n >= sizeof path)
        return err_set(err, ERR_SYSTEM, "name too long: %s", kv->dir);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
    if (fd < 0)
        return err_errno(err, "opening %s", path);

    int ret = 0;
    if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
        bdb_enter(kv);
        ret = kv->env->log_archive(kv->env, NULL, DB_ARCH_REMOVE);
        if (ret != 0)
            ret = bdb_fail_env(kv, ret, "trimming the log of", err);
        bdb_leave(kv);
    } else if (errno != EWOULDBLOCK) {
        ret = err_errno(err, "locking %s", path);
    }
    fdio_close(fd);
    return ret;
}
