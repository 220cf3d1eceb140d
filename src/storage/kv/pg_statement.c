#ifdef HAVE_LIBPQ

#include "storage/kv/pg_statement.h"
#include "storage/kv/pg_link.h"
#include "util/clock.h"
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

int
pg_statement_ask(struct txn *t, enum pg_statement s, unsigned table, const struct bytes *params,
                 int n, PGresult **out, struct err *err)
{
    struct pg *p = pg_of(t);
    uint64_t until = clock_mono_ms() + PG_PATIENCE_MS;

    for (;;) {
        if (t->is_reads && pg_link_open(p, err) != 0)
            return -1;
        pg_statement_send(p, PG_WANTED, 0, s, table, params, n);
        if (pg_link_flight(p, out, err) == 0)
            return 0;
        if (!t->is_reads) {
            t->doom = *err;
            return -1;
        }
        if (p->conn != NULL || clock_mono_ms() >= until)
            return -1;
    }
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
