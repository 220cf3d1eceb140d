#include "storage/kv/bdb.h"
#include <assert.h>
#include <errno.h>
#include "util/clock.h"
#include "util/log.h"
#include "util/mem.h"
#include "util/pack.h"
#include "util/random.h"

#define PAUSE_MAX_MS 12

/* An environment that is marked as lost for longer than this is lost. */
#define MARK_MS 200

struct bdb *
bdb_new(const char *dir, const struct kv_table *tables, size_t n)
{
    struct bdb *b = mem_alloc(sizeof *b);
    size_t longest = 0;

    for (size_t i = 0; i < n; i++)
        if (tables[i].kind == KV_QUEUE && tables[i].record_size > longest)
            longest = tables[i].record_size;
    b->kv.dir = mem_strdup(dir);
    b->tables = tables;
    b->n = n;
    b->db = mem_array(n, sizeof(DB *));
    b->record = mem_alloc(longest + BDB_LENGTH_BYTES);
    return b;
}

void
bdb_free(struct bdb *b)
{
    free(b->db);
    free((char *)b->kv.dir);
    free(b->record);
    free(b);
}

void
bdb_enter(struct bdb *b)
{
    /* Without an environment there is nothing that a recovery could help. */
    if (b->depth == 0)
        b->found_damage = b->is_quiet;
    if (b->depth++ == 0 && b->slot != NULL) {
        atomic_store(&b->slot->since_ms, clock_mono_ms());
        atomic_store(&b->slot->in_db, true);
    }
}

void
bdb_leave(struct bdb *b)
{
    assert(b->depth > 0);
    if (--b->depth == 0 && b->slot != NULL)
        atomic_store(&b->slot->in_db, false);
}

/* ---- errors ---- */

void
bdb_lost(struct bdb *b, const char *why)
{
    log_line(LOG_ERROR, "the store needs recovery", "why=%s", why);
    if (b->lost != NULL)
        b->lost(why);
    abort();
}

/* Most calls of the library look whether the mark is there, this one too. */
static bool
is_marked(struct bdb *b)
{
    uint32_t flags = 0;
    bool marked;

    b->is_silent = true;
    marked =
        b->env->get_flags(b->env, &flags) == DB_RUNRECOVERY || (flags & DB_PANIC_ENVIRONMENT) != 0;
    b->is_silent = false;
    return marked;
}

bool
bdb_is_lost(struct bdb *b)
{
    uint64_t end = clock_mono_ms() + MARK_MS;

    if (b->env == NULL)
        return true;
    while (is_marked(b)) {
        if (clock_mono_ms() > end)
            return true;
        clock_sleep_ms(1);
    }
    return false;
}

bool
bdb_is_fatal(struct bdb *b, int ret)
{
    /* Out of memory means locks, lockers or mutexes, which dead processes have left behind. A
     * damaged page is damaged after a recovery, too, and the other pages are not. */
    return (ret == DB_RUNRECOVERY && !b->found_damage && bdb_is_lost(b)) || ret == ENOMEM;
}

bool
bdb_is_conflict(struct bdb *b, int ret)
{
    return ret == DB_LOCK_DEADLOCK || ret == DB_LOCK_NOTGRANTED ||
           (ret == DB_RUNRECOVERY && !b->found_damage && !bdb_is_lost(b));
}

void
bdb_pause(void)
{
    clock_sleep_ms(random_u64() % (PAUSE_MAX_MS + 1));
}

static enum err_code
bdb_error_code(int ret)
{
    switch (ret) {
    case DB_LOCK_DEADLOCK:
    case DB_LOCK_NOTGRANTED:
        return ERR_BUSY;
    case DB_RUNRECOVERY:
    case DB_PAGE_NOTFOUND:
    case DB_VERIFY_BAD:
    case DB_OLD_VERSION:
        return ERR_CORRUPT;
    default:
        return err_code_of(ret);
    }
}

int
bdb_error(struct err *err, int ret, const char *what, const char *name)
{
    err_set(err, bdb_error_code(ret), "%s %s: %s", what, name, db_strerror(ret));
    err->sys = ret;
    return -1;
}

/* Doesn't return if only a recovery can help. */
static void
set_error(struct bdb *b, struct err *err, int ret, const char *what, const char *name)
{
    bdb_error(err, ret, what, name);
    if (bdb_is_fatal(b, ret))
        bdb_lost(b, err->message);
    if (ret == DB_RUNRECOVERY && b->found_damage)
        err_set(err, ERR_CORRUPT, "%s %s: a page of its file is damaged", what, name);
    else if (ret == DB_PAGE_NOTFOUND)
        err_set(err, ERR_CORRUPT,
                "%s %s: its file was cut: stop the server, and put the database back with "
                "docker-registry-server restore --snapshot",
                what, name);
    else if (ret == DB_RUNRECOVERY)
        err_set(err, ERR_BUSY, "%s %s: another process is reading a damaged page", what, name);
}

int
bdb_fail_env(struct bdb *b, int ret, const char *what, struct err *err)
{
    set_error(b, err, ret, what, b->kv.dir);
    return -1;
}

int
bdb_fail(struct txn *t, int ret, const char *what, unsigned table, struct err *err)
{
    struct bdb *b = bdb_of(t);
    const char *name = b->tables[table].name;

    set_error(b, err, ret, what, name);
    if (ret == EINVAL) /* we ask in the right way: a page has the wrong type */
        err_set(err, ERR_CORRUPT, "%s %s: its file is damaged", what, name);
    if (!t->is_reads)
        t->doom = *err;
    return -1;
}

/* ---- keys and values ---- */

bool
bdb_key(struct bdb *b, unsigned table, struct bytes key, DBT *dbt)
{
    *dbt = bdb_dbt(key.p, key.n);
    if (b->tables[table].kind == KV_ORDERED)
        return true;
    b->recno = (db_recno_t)unpack_uint_at(key.p, key.n);
    *dbt = bdb_dbt(&b->recno, sizeof b->recno);
    return b->recno != 0;
}

int
bdb_value(const struct bdb *b, unsigned table, const DBT *dbt, struct bytes *val, struct err *err)
{
    struct unpack u = unpack_of(bytes_of(dbt->data, dbt->size));

    if (b->tables[table].kind == KV_ORDERED) {
        *val = bytes_of(dbt->data, dbt->size);
        return 0;
    }
    *val = unpack_bytes16(&u);
    if (u.bad)
        return err_set(err, ERR_CORRUPT, "table %s: bad record", b->tables[table].name);
    return 0;
}

int
bdb_copy(const struct bdb *b, unsigned table, struct bytes from, struct buf *out, struct err *err)
{
    if (out == NULL)
        return 0;
    buf_reset(out);
    buf_put(out, from.p, from.n);
    if (!buf_ok(out))
        return err_set(err, ERR_CORRUPT, "table %s: %zu bytes, expected at most %zu",
                       b->tables[table].name, from.n, out->max);
    return 0;
}
