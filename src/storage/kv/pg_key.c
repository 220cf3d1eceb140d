#ifdef HAVE_LIBPQ

#include "storage/kv/pg_key.h"
#include "storage/kv/pg_link.h"
#include "storage/kv/pg_statement.h"
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

/* ---- keys that were announced ---- */

static struct pg_expected *
find_expected(struct pg *p, unsigned table, struct bytes key)
{
    for (size_t i = 0; i < p->expected_n; i++) {
        struct pg_expected *e = &p->expected[i];

        if (e->key != NULL && e->table == table && bytes_equal(bytes_of(e->key, e->key_n), key))
            return e;
    }
    return NULL;
}

static void
forget_expected(struct pg_expected *e)
{
    free(e->key);
    PQclear(e->found);
    *e = (struct pg_expected){0};
}

void
pg_key_expect(struct txn *t, unsigned table, const struct bytes *keys, size_t n)
{
    struct pg *p = pg_of(t);
    uint8_t number[8];

    /* Outside a transaction the answer would be of another moment. */
    for (size_t i = 0; i < n && !t->is_reads && p->expected_n < PG_EXPECTED_MAX; i++) {
        struct bytes param = pg_statement_key(p, table, keys[i], number);

        if (find_expected(p, table, keys[i]) != NULL)
            continue;
        p->expected[p->expected_n] = (struct pg_expected){
            .table = table, .key = mem_copy(keys[i].p, keys[i].n), .key_n = keys[i].n};
        pg_statement_send(p, PG_FETCHED, (unsigned)p->expected_n++, PG_GET, table, &param, 1);
    }
}

static void
note_change(struct pg *p, unsigned table, struct bytes key)
{
    struct pg_expected *e = find_expected(p, table, key);

    p->changes[table]++;
    if (e != NULL)
        forget_expected(e);
}

/* ---- reading ---- */

/* Reads for update, and locks the key even if it is absent. */
static int
get_locked(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8], lock[8];
    struct bytes params[] = {pg_statement_key(p, table, key, number), bytes_of(lock, sizeof lock)};
    uint64_t hash = 14695981039346656037u + table;
    PGresult *res;
    int rc;

    for (size_t i = 0; i < key.n; i++)
        hash = (hash ^ ((const uint8_t *)key.p)[i]) * 1099511628211u;
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

/* The answer in a result of PG_GET. */
static int
read_value(const struct pg *p, unsigned table, const PGresult *res, struct buf *val,
           struct err *err)
{
    if (PQntuples(res) == 0)
        return 0;
    return pg_key_copy(p, table, res, 0, val, err) == 0 ? 1 : -1;
}

static int
get_expected(struct txn *t, struct pg_expected *e, struct buf *val, struct err *err)
{
    struct pg *p = pg_of(t);

    if (e->found == NULL && pg_link_flight(p, NULL, err) != 0) {
        t->doom = *err;
        return -1;
    }
    return read_value(p, e->table, e->found, val, err);
}

int
pg_key_get(struct txn *t, unsigned table, struct bytes key, bool for_update, struct buf *val,
           struct err *err)
{
    struct pg *p = pg_of(t);
    uint8_t number[8];
    struct bytes param = pg_statement_key(p, table, key, number);
    struct pg_expected *e = t->is_reads ? NULL : find_expected(p, table, key);
    PGresult *res;
    int rc;

    if (!t->is_reads && p->tables[table].kind == KV_QUEUE)
        pg_key_send_appends(p);
    if (for_update && !p->is_alone)
        return get_locked(t, table, key, val, err);
    if (e != NULL)
        return get_expected(t, e, val, err);
    if (pg_statement_ask(t, PG_GET, table, &param, 1, &res, err) != 0)
        return -1;
    rc = read_value(p, table, res, val, err);
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
    note_change(p, table, key);
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

    note_change(p, table, key);
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
    note_change(p, table, key);
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
    note_change(p, table, key);
    pg_key_send_appends(p);
    pg_statement_send(p, PG_CHECKED, 0, PG_PLACE, table, params, 2);
    snprintf(text, sizeof text,
             "SELECT setval('\"%s_k_seq\"', greatest(%u, last_value)) FROM \"%s_k_seq\"", name,
             unpack_u32_at(key.p), name);
    pg_link_say(p, PG_CHECKED, text);
    return 0;
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
    for (size_t i = 0; i < p->appends_n; i++)
        free(p->appends[i].val);
    p->appends_n = 0;
}

void
pg_key_forget(struct pg *p)
{
    for (size_t i = 0; i < p->expected_n; i++)
        forget_expected(&p->expected[i]);
    p->expected_n = 0;
    for (size_t i = 0; i < p->appends_n; i++)
        free(p->appends[i].val);
    p->appends_n = 0;
}

#endif
