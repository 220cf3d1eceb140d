#ifdef HAVE_LIBPQ

#include "storage/kv/pg_key.h"
#include "storage/kv/pg_link.h"
#include "storage/kv/pg_statement.h"
#include "util/fnv.h"
#include "util/mem.h"
#include "util/pack.h"

int
pg_key_copy(const struct pg *p, unsigned table, const PGresult *res, int column, struct buf *val,
            struct err *err)
{
    if (val == NULL)
        return 0;
    buf_reset(val);
    buf_put(val, PQgetvalue(res, 0, column), (size_t)PQgetlength(res, 0, column));
    if (buf_ok(val))
        return 0;
    buf_reset(val);
    return err_set(err, ERR_CORRUPT, "table %s: value of %d bytes", p->tables[table].name,
                   PQgetlength(res, 0, column));
}

/* ---- reading ---- */

/* The number of the lock of an absent key. */
static uint64_t
lock_of_key(unsigned table, struct bytes key)
{
    return fnv_hash(FNV_START + table, key);
}

void
pg_key_expect(struct txn *t, unsigned table, struct bytes key, bool for_update)
{
    struct pg *p = pg_of(t);
    bool locks = for_update && !p->is_alone;
    uint8_t lock[8];
    struct bytes params[] = {key, bytes_of(lock, sizeof lock)};

    pack_uint_at(lock, lock_of_key(table, key), sizeof lock);
    pg_statement_expect(p, locks ? PG_GET_LOCKED : PG_GET, table, params, locks ? 2 : 1);
}

/* Reads for update, and locks the key even if it is absent. */
static int
get_locked(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8], lock[8];
    struct bytes params[] = {pg_statement_key(p, table, key, number), bytes_of(lock, sizeof lock)};
    uint64_t hash = lock_of_key(table, key);
    PGresult *res;
    int rc;

    pack_uint_at(lock, hash, sizeof lock);
    if (pg_statement_ask(t, PG_GET_LOCKED, table, params, 2, &res, err) != 0)
        return -1;
    if (!PQgetisnull(res, 0, 0)) {
        rc = pg_key_copy(p, table, res, 0, val, err) == 0 ? 1 : -1;
    } else if (*PQgetvalue(res, 0, 1) != 0) {
        rc = 0;
    } else {
        p->awaits_key = true;
        p->awaited_key = hash;
        rc = err_set(&t->doom, ERR_BUSY, "table %s: another transaction puts the same key",
                     p->tables[table].name);
        *err = t->doom;
    }
    PQclear(res);
    return rc;
}

int
pg_key_get(struct txn *t, unsigned table, struct bytes key, bool for_update, struct buf *val,
           struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8];
    struct bytes param = pg_statement_key(p, table, key, number);
    PGresult *res;
    int rc;

    if (!t->is_reads && p->tables[table].kind == KV_QUEUE)
        pg_key_send_appends(p);
    if (for_update && !p->is_alone)
        return get_locked(t, table, key, val, err);
    if (pg_statement_ask(t, PG_GET, table, &param, 1, &res, err) != 0)
        return -1;
    rc = PQntuples(res);
    if (rc == 1 && pg_key_copy(p, table, res, 0, val, err) != 0)
        rc = -1;
    PQclear(res);
    return rc;
}

/* ---- writing ---- */

int
pg_key_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    struct pg *p = pg_of(t);
    struct bytes params[] = {key, val};

    (void)err;
    pg_statement_note_change(p, table, key);
    pg_statement_send(p, PG_CHECKED, 0, PG_PUT, table, params, 2);
    return 0;
}

int
pg_key_delete(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8];
    struct bytes param = pg_statement_key(p, table, key, number);
    PGresult *res;
    int rc;

    pg_statement_note_change(p, table, key);
    if (p->tables[table].kind == KV_QUEUE)
        pg_key_send_appends(p);
    if (pg_statement_ask(t, PG_DELETE, table, &param, 1, &res, err) != 0)
        return -1;
    rc = strcmp(PQcmdTuples(res), "0") != 0;
    PQclear(res);
    return rc;
}

int
pg_key_drop(struct txn *t, unsigned table, struct bytes key, struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8];
    struct bytes param = pg_statement_key(p, table, key, number);

    (void)err;
    pg_statement_note_change(p, table, key);
    if (p->tables[table].kind == KV_QUEUE)
        pg_key_send_appends(p);
    pg_statement_send(p, PG_CHECKED, 0, PG_DELETE, table, &param, 1);
    return 0;
}

/* ---- queues ---- */

int
pg_key_append(struct txn *t, unsigned table, struct bytes val, struct err *err)
{
    struct pg *p = pg_of(t);

    (void)err;
    p->changes[table]++;
    p->appends = mem_grow(p->appends, &p->appends_room, p->appends_n + 1, sizeof *p->appends);
    p->appends[p->appends_n++] =
        (struct pg_append){.table = table, .n = val.n, .val = mem_copy(val.p, val.n)};
    return 0;
}

/* Others don't append meanwhile: it is for stores that are being made. */
int
pg_key_place(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err)
{
    struct pg *p = pg_of(t);
    const char *name = p->tables[table].name;
    uint8_t number[8];
    struct bytes params[] = {pg_statement_key(p, table, key, number), val};
    char text[160];

    (void)err;
    pg_statement_note_change(p, table, key);
    pg_key_send_appends(p);
    pg_statement_send(p, PG_CHECKED, 0, PG_PLACE, table, params, 2);
    snprintf(text, sizeof text,
             "SELECT setval('\"%s_k_seq\"', greatest(%u, last_value)) FROM \"%s_k_seq\"", name,
             unpack_u32_at(key.p), name);
    pg_link_say(p, PG_CHECKED, text);
    return 0;
}

void
pg_key_forget_appends(struct pg *p)
{
    for (size_t i = 0; i < p->appends_n; i++)
        free(p->appends[i].val);
    p->appends_n = 0;
}

/* Takes the numbers under a lock, which ends when the commit is visible. So numbers become visible
 * in their order, and nobody who goes through the queue passes one that may still be committed.
 * Others wait for this lock, so it is taken as late as possible. */
void
pg_key_send_appends(struct pg *p)
{
    for (size_t i = 0; i < p->appends_n; i++) {
        struct pg_append *a = &p->appends[i];
        struct bytes val = bytes_of(a->val, a->n);

        if (i == 0 || a->table != a[-1].table) {
            char text[80];

            snprintf(text, sizeof text, "SELECT pg_advisory_xact_lock(%d, %u)", PG_LOCK_QUEUE,
                     a->table);
            pg_statement_begin(p);
            pg_link_say(p, PG_CHECKED, text);
        }
        pg_statement_send(p, PG_CHECKED, 0, PG_APPEND, a->table, &val, 1);
    }
    pg_key_forget_appends(p);
}

#endif
