#ifdef HAVE_LIBPQ

#include "storage/kv/pg_statement.h"
#include "storage/kv/pg_link.h"
#include "util/clock.h"
#include "util/mem.h"
#include "util/pack.h"

/* $ stands for the table's name. */
static const char *const texts[PG_STATEMENTS] = {
    [PG_GET] = "SELECT v FROM \"$\" WHERE k = $1",
    /* An absent key has no row to lock. Who can't lock it doesn't wait here, since waiting would
     * keep the old snapshot; and it raises no error, which would fill the server's log. */
    [PG_GET_LOCKED] = "WITH r AS (SELECT v FROM \"$\" WHERE k = $1 FOR UPDATE)"
                      " SELECT v, true FROM r UNION ALL"
                      " SELECT NULL, pg_try_advisory_xact_lock($2)"
                      " WHERE NOT EXISTS (SELECT FROM r)",
    [PG_PUT] = "INSERT INTO \"$\" (k, v) VALUES ($1, $2)"
               " ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v",
    [PG_DELETE] = "DELETE FROM \"$\" WHERE k = $1",
    [PG_PAGE] = "SELECT k, v FROM \"$\" WHERE k >= $1 ORDER BY k LIMIT $2",
    [PG_PAGE_TO] = "SELECT k, v FROM \"$\" WHERE k >= $1 AND k < $2 ORDER BY k LIMIT $3",
    [PG_LAST] = "SELECT k, v FROM \"$\" WHERE k >= $1 ORDER BY k DESC LIMIT 1",
    [PG_LAST_TO] = "SELECT k, v FROM \"$\" WHERE k >= $1 AND k < $2 ORDER BY k DESC LIMIT 1",
    [PG_APPEND] = "INSERT INTO \"$\" (v) VALUES ($1)",
    [PG_PLACE] = "INSERT INTO \"$\" (k, v) OVERRIDING SYSTEM VALUE VALUES ($1, $2)"
                 " ON CONFLICT (k) DO UPDATE SET v = EXCLUDED.v",
};

#define NAME_MAX_BYTES 24

/* The name of the prepared statement. */
static void
name_statement(char out[NAME_MAX_BYTES], unsigned number)
{
    snprintf(out, NAME_MAX_BYTES, "s%u", number);
}

static void
prepare_statement(struct pg *p, enum pg_statement s, unsigned table, unsigned number)
{
    char text[512], name[NAME_MAX_BYTES];
    const char *at = strchr(texts[s], '$');

    name_statement(name, number);
    snprintf(text, sizeof text, "%.*s%s%s", (int)(at - texts[s]), texts[s], p->tables[table].name,
             at + 1);
    pg_link_prepare(p, number, name, text);
}

void
pg_statement_begin(struct pg *p)
{
    if (p->is_begun)
        return;
    p->is_begun = true;
    pg_link_say(p, PG_CHECKED,
                p->is_alone ? "BEGIN ISOLATION LEVEL REPEATABLE READ"
                            : "BEGIN ISOLATION LEVEL SERIALIZABLE");
    /* LOCK takes no snapshot, so the transaction sees all that was committed while it waited. The
     * lock ends when the commit is visible. */
    pg_link_say(p, PG_CHECKED,
                p->is_alone ? "LOCK TABLE kv_gate IN EXCLUSIVE MODE"
                            : "LOCK TABLE kv_gate IN ROW SHARE MODE");
    if (p->tries > 0)
        pg_link_say(p, PG_CHECKED, "SELECT nextval('kv_conflicts')");
}

void
pg_statement_send(struct pg *p, enum pg_want want, unsigned number, enum pg_statement s,
                  unsigned table, const struct bytes *params, int n)
{
    unsigned id = table * PG_STATEMENTS + s;
    char name[NAME_MAX_BYTES];

    if (p->kv.is_running)
        pg_statement_begin(p);
    if (!p->prepared[id])
        prepare_statement(p, s, table, id);
    name_statement(name, id);
    pg_link_execute(p, want, number, name, params, n);
}

/* ---- announced ones ---- */

static struct pg_expected *
find_expected(struct pg *p, enum pg_statement s, unsigned table, const struct bytes *params, int n)
{
    for (size_t i = 0; i < p->expected_n; i++) { /* mostly they are read in their order */
        size_t at = (p->expected_at + i) % p->expected_n;
        struct pg_expected *e = &p->expected[at];
        bool is_same = e->memory != NULL && e->s == s && e->table == table && e->n == n;

        for (int k = 0; k < n && is_same; k++)
            is_same = bytes_equal(e->params[k], params[k]);
        if (!is_same)
            continue;
        p->expected_at = at + 1;
        return e;
    }
    return NULL;
}

void
pg_statement_expect(struct pg *p, enum pg_statement s, unsigned table, const struct bytes *params,
                    int n)
{
    struct pg_expected *e;
    size_t bytes = 1, at = 0;

    if (p->expected_n == PG_EXPECTED_MAX || find_expected(p, s, table, params, n) != NULL)
        return;
    for (int i = 0; i < n; i++)
        bytes += params[i].n;
    p->expected = mem_grow(p->expected, &p->expected_room, p->expected_n + 1, sizeof *p->expected);
    e = &p->expected[p->expected_n++];
    *e = (struct pg_expected){.s = s, .table = table, .n = n, .memory = mem_alloc(bytes)};
    for (int i = 0; i < n; i++) {
        if (params[i].n > 0)
            memcpy(e->memory + at, params[i].p, params[i].n);
        e->params[i] = bytes_of(e->memory + at, params[i].n);
        at += params[i].n;
    }
}

static void
forget_expected(struct pg_expected *e)
{
    free(e->memory);
    PQclear(e->found);
    e->memory = NULL;
    e->found = NULL;
}

static bool
depends_on_key(const struct pg_expected *e, struct bytes key)
{
    if (e->s == PG_GET || e->s == PG_GET_LOCKED)
        return bytes_equal(e->params[0], key);
    return bytes_compare(key, e->params[0]) >= 0 &&
           ((e->s != PG_PAGE_TO && e->s != PG_LAST_TO) || bytes_compare(key, e->params[1]) < 0);
}

void
pg_statement_note_change(struct pg *p, unsigned table, struct bytes key)
{
    p->changes[table]++;
    for (size_t i = 0; i < p->expected_n; i++)
        if (p->expected[i].memory != NULL && p->expected[i].table == table &&
            depends_on_key(&p->expected[i], key))
            forget_expected(&p->expected[i]);
}

void
pg_statement_expect_end(struct pg *p)
{
    for (size_t i = 0; i < p->expected_n; i++)
        forget_expected(&p->expected[i]);
    p->expected_n = p->expected_at = 0;
}

static void
send_expected(struct pg *p)
{
    for (size_t i = 0; i < p->expected_n; i++) {
        const struct pg_expected *e = &p->expected[i];

        if (e->memory != NULL && e->found == NULL)
            pg_statement_send(p, PG_FETCHED, (unsigned)i, e->s, e->table, e->params, e->n);
    }
}

/* The result of an announced statement. In a transaction, a key may be read again. */
static PGresult *
take_expected(const struct txn *t, struct pg_expected *e)
{
    PGresult *res = e->found;

    if (!t->is_reads && e->s == PG_GET) {
        res = PQcopyResult(res, PG_COPYRES_TUPLES);
        if (res == NULL)
            mem_exhausted();
    } else {
        e->found = NULL;
        forget_expected(e);
    }
    return res;
}

/* ---- asking ---- */

int
pg_statement_ask(struct txn *t, enum pg_statement s, unsigned table, const struct bytes *params,
                 int n, PGresult **out, struct err *err)
{
    struct pg *p = pg_of(t);
    struct pg_expected *e = find_expected(p, s, table, params, n);
    uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

    while (e == NULL || e->found == NULL) {
        if (t->is_reads && pg_link_open(p, err) != 0)
            return -1;
        send_expected(p);
        if (e == NULL)
            pg_statement_send(p, PG_WANTED, 0, s, table, params, n);
        if (pg_link_flight(p, out, err) == 0) {
            if (e == NULL)
                return 0;
            continue;
        }
        if (!t->is_reads) {
            t->doom = *err;
            return -1;
        }
        if (p->conn != NULL || clock_mono_ms() >= until)
            return -1;
    }
    *out = take_expected(t, e);
    return 0;
}

struct bytes
pg_statement_key(const struct pg *p, unsigned table, struct bytes key, uint8_t *number)
{
    if (p->tables[table].kind != KV_QUEUE)
        return key;
    pack_uint_at(number, key.n == 0 ? 0 : unpack_uint_at(key.p, key.n), sizeof(uint64_t));
    return bytes_of(number, sizeof(uint64_t));
}

#endif
