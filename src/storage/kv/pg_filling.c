#ifdef HAVE_LIBPQ

#include "storage/kv/pg_filling.h"
#include "storage/kv/kv.h"
#include "storage/kv/kv_slot.h"
#include "storage/kv/pg.h"
#include "storage/kv/pg_cursor.h"
#include "storage/kv/pg_key.h"
#include "storage/kv/pg_link.h"
#include "storage/kv/pg_moment.h"
#include "storage/kv/pg_nodes.h"
#include "storage/kv/pg_schema.h"
#include "storage/kv/pg_statement.h"
#include "util/clock.h"
#include "util/log.h"
#include "util/random.h"

/* Losses of a conflict after which a transaction asks to be alone. Optimistic retries can lose for
 * ever: one transaction that somebody left open is enough. */
#define TRIES_TOGETHER 3
#define PG_PAUSE_MAX_MS 5

/* ---- opening ---- */

/* Nothing is recovered here when a process dies: its connection ends, and PostgreSQL undoes its
 * transaction. So in_db is always false, and `lost` is never called. */
static struct kv *
pg_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
        void (*lost)(const char *why), struct err *err)
{
    struct pg *p = pg_link_new(dir, tables, n);

    (void)lost;
    if (slot != NULL)
        atomic_store(&slot->in_db, false);
    if (pg_link_open(p, err) == 0 && pg_schema_check(p, err) == 0)
        return &p->kv;
    pg_link_free(p);
    return NULL;
}

static void
pg_close(struct kv *kv)
{
    pg_link_free((struct pg *)kv);
}

/* ---- transactions ---- */

/* Waits for a lock of the session, before there is a snapshot. If it isn't granted in time, the
 * transaction tries without it. */
static void
wait_for_key(struct pg *p)
{
    char text[80];
    struct err err;

    p->awaits_key = false;
    p->holds_key = true;
    p->held_key = p->awaited_key;
    snprintf(text, sizeof text, "SELECT pg_advisory_lock(%lld)", (long long)p->awaited_key);
    pg_link_say(p, PG_CHECKED, text);
    if (pg_link_flight(p, NULL, &err) != 0)
        p->holds_key = false;
}

/* Behind the end of the transaction: in a failed one it would be refused. */
static void
release_key(struct pg *p)
{
    char text[80];

    if (!p->holds_key)
        return;
    p->holds_key = false;
    snprintf(text, sizeof text, "SELECT pg_advisory_unlock(%lld)", (long long)p->held_key);
    pg_link_say(p, PG_CHECKED, text);
    pg_link_sync(p);
}

static int
pg_begin(struct kv *kv, unsigned tries, struct err *err)
{
    struct pg *p = (struct pg *)kv;

    if (tries == 0)
        p->awaits_key = false;
    if (tries > 0)
        clock_sleep_ms(random_u64() % (PG_PAUSE_MAX_MS + 1));
    pg_statement_expect_end(p);
    p->tries = tries;
    p->is_begun = false;
    p->is_doubtful = false;
    p->is_alone = tries >= TRIES_TOGETHER;
    if (tries == TRIES_TOGETHER)
        log_line(LOG_INFO, "a transaction runs alone, after conflicts", "tries=%u", tries);
    if (pg_link_open(p, err) != 0)
        return -1;
    if (p->was_leader && !p->leads)
        return err_set(err, ERR_BUSY,
                       "the connection to the database was lost, and with it the lead");
    if (p->awaits_key && !p->is_alone)
        wait_for_key(p);
    return 0; /* BEGIN is sent with the first statement */
}

/* Undoes what was begun, without waiting. */
static void
undo_transaction(struct pg *p)
{
    if (p->conn != NULL && p->is_begun) {
        if (p->pending_n > 0) /* if one of them fails, ROLLBACK must not be left out */
            pg_link_sync(p);
        pg_link_say(p, PG_CHECKED, "ROLLBACK");
        pg_link_sync(p);
    }
    release_key(p);
    for (size_t i = 0; i < p->pending_n; i++)
        p->pending[i].is_over = true;
    p->is_begun = false;
    p->is_alone = false;
    pg_statement_expect_end(p);
    pg_key_forget_appends(p);
}

static void
pg_abort(struct txn *t)
{
    undo_transaction(pg_of(t));
}

static int
pg_commit(struct txn *t, struct err *err)
{
    struct pg *p = pg_of(t);
    int rc = 0;

    pg_key_send_appends(p);
    if (p->is_begun) {
        pg_link_say(p, PG_COMMIT, "COMMIT");
        rc = pg_link_flight(p, NULL, err);
    }
    if (rc == 0) {
        p->is_begun = false;
    } else if (p->is_doubtful) {
        /* It isn't tried again, since it may have been done: so this is no conflict. */
        log_line(LOG_WARN, "a commit is in doubt", "why=%s", err->message);
        err_set(err, ERR_BUSY, "it isn't known whether the database has done this");
    } else {
        t->doom = *err;
    }
    undo_transaction(p);
    return rc;
}

/* ---- announcing reads ---- */

static void
pg_expect(struct txn *t, enum kv_read how, unsigned table, const struct kv_range *range)
{
    if (how == KV_SEEK || how == KV_LAST)
        pg_cursor_expect(t, how, table, range);
    else
        pg_key_expect(t, table, range->from, how == KV_GET_FOR_UPDATE);
}

static void
pg_expect_end(struct txn *t)
{
    pg_statement_expect_end(pg_of(t));
}

/* ---- upkeep: PostgreSQL does it ---- */

static int
pg_flush(struct kv *kv, struct err *err)
{
    (void)kv;
    (void)err;
    return 0; /* what can be read was flushed before */
}

static int
pg_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err)
{
    (void)kv;
    (void)log_kbytes;
    (void)minutes;
    (void)err;
    return 0;
}

static int
pg_trim_logs(struct kv *kv, struct err *err)
{
    (void)kv;
    (void)err;
    return 0;
}

static int
pg_stats(struct kv *kv, struct kv_stats *out, struct err *err)
{
    struct pg *p = (struct pg *)kv;
    PGresult *res;
    uint64_t *const fields[] = {&out->cache_hits, &out->cache_misses, &out->deadlocks,
                                &out->log_bytes};

    if (pg_link_open(p, err) != 0)
        return -1;
    pg_link_say(p, PG_WANTED,
                "SELECT blks_hit, blks_read, (SELECT last_value FROM kv_conflicts WHERE is_called),"
                " pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')"
                " FROM pg_stat_database WHERE datname = current_database()");
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    for (int i = 0; i < PQnfields(res) && PQntuples(res) == 1; i++)
        *fields[i] = strtoull(PQgetvalue(res, 0, i), NULL, 10);
    PQclear(res);
    return 0;
}

static int
pg_copy(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg), void *arg,
        struct err *err)
{
    (void)kv;
    (void)to;
    (void)moment_ms;
    (void)is_over;
    (void)arg;
    return err_set(err, ERR_SYSTEM, "PostgreSQL alone copies its files");
}

const struct kv_filling pg_filling = {
    .is_remote = true,
    .recover = pg_schema_make,
    .open = pg_open,
    .close = pg_close,
    .begin = pg_begin,
    .commit = pg_commit,
    .abort = pg_abort,
    .get = pg_key_get,
    .expect = pg_expect,
    .expect_end = pg_expect_end,
    .put = pg_key_put,
    .delete = pg_key_delete,
    .drop = pg_key_drop,
    .append = pg_key_append,
    .place = pg_key_place,
    .cursor_open = pg_cursor_open,
    .cursor_close = pg_cursor_close,
    .cursor_seek = pg_cursor_seek,
    .cursor_next = pg_cursor_next,
    .last = pg_cursor_last,
    .flush = pg_flush,
    .checkpoint = pg_checkpoint,
    .stats = pg_stats,
    .trim_logs = pg_trim_logs,
    .node_join = pg_node_join,
    .node_beat = pg_node_beat,
    .node_leave = pg_node_leave,
    .node_lead = pg_node_lead,
    .node_leads = pg_node_leads,
    .node_find = pg_node_find,
    .node_self = pg_node_self,
    .secret_get = pg_node_secret_get,
    .secret_put = pg_node_secret_put,
    .node_list = pg_node_list,
    .moment_begin = pg_moment_begin,
    .moment_end = pg_moment_end,
    .hold_files = pg_moment_hold_files,
    .are_files_held = pg_moment_are_files_held,
    .copy = pg_copy,
};

#endif
