#ifdef HAVE_LIBPQ

#include "storage/kv/pg_schema.h"
#include <errno.h>
#include "storage/kv/pg_link.h"
#include "storage/kv/pg_nodes.h"
#include "util/log.h"

/* The version of what this file makes. */
#define SCHEMA_VERSION 1

#define TEXT_MAX 8192
/* As the manual says. */
#define PRED_LOCKS 256

static void
say_table(struct pg *p, const struct kv_table *table)
{
    char text[512];

    if (table->kind == KV_QUEUE)
        snprintf(text, sizeof text,
                 "CREATE TABLE IF NOT EXISTS \"%s\" (k bigint GENERATED ALWAYS AS IDENTITY"
                 " (MAXVALUE %u) PRIMARY KEY, v bytea NOT NULL)",
                 table->name, UINT32_MAX);
    else
        snprintf(text, sizeof text,
                 "CREATE TABLE IF NOT EXISTS \"%s\" (k bytea PRIMARY KEY, v bytea NOT NULL)",
                 table->name);
    pg_link_say(p, PG_CHECKED, text);
}

/* Reads the version, in a transaction that has the lock or doesn't need it. */
static int
check_version(struct pg *p, struct err *err)
{
    PGresult *res;
    long version;

    pg_link_say(p, PG_WANTED, "SELECT version FROM kv_schema");
    if (pg_link_flight(p, &res, err) != 0) {
        if (strstr(err->message, "(42P01)") != NULL) {
            err_set(err, ERR_UNSUPPORTED, "there is no registry in that database yet");
            err->sys = ENOENT;
        }
        return -1;
    }
    version = PQntuples(res) == 1 ? strtol(PQgetvalue(res, 0, 0), NULL, 10) : -1;
    PQclear(res);
    if (version == SCHEMA_VERSION)
        return 0;
    return err_set(err, ERR_UNSUPPORTED,
                   "the database has version %ld of the tables, and this program knows version "
                   "%d: use a newer docker-registry-server",
                   version, SCHEMA_VERSION);
}

/* Are all tables there, and ours? A name such as "tag" may be that of another program's table. */
static int
check_tables(struct pg *p, struct err *err)
{
    char text[TEXT_MAX];
    PGresult *res;
    int rc = 0, at = snprintf(text, sizeof text,
                              "SELECT count(*) FILTER (WHERE to_regclass(name) IS NULL), max(name)"
                              " FILTER (WHERE type IS NOT NULL AND (SELECT count(*) FROM"
                              " pg_attribute WHERE attrelid = to_regclass(name) AND (attname = 'k'"
                              " AND atttypid = type::regtype OR attname = 'v' AND atttypid ="
                              " 'bytea'::regtype)) <> 2) FROM (VALUES ('kv_gate', NULL),"
                              " ('kv_node', NULL), ('kv_secret', NULL)");

    for (size_t i = 0; i < p->n && at > 0 && (size_t)at < sizeof text; i++)
        at += snprintf(text + at, sizeof text - (size_t)at, ",('\"%s\"', '%s')", p->tables[i].name,
                       p->tables[i].kind == KV_QUEUE ? "bigint" : "bytea");
    if (at > 0 && (size_t)at < sizeof text)
        at += snprintf(text + at, sizeof text - (size_t)at, ") AS t (name, type)");
    if (at <= 0 || (size_t)at >= sizeof text)
        return err_set(err, ERR_SYSTEM, "too many tables");
    pg_link_say(p, PG_WANTED, text);
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    if (strcmp(PQgetvalue(res, 0, 0), "0") != 0)
        rc = err_set(err, ERR_SYSTEM, "the database lacks some of the tables");
    else if (!PQgetisnull(res, 0, 1))
        rc = err_set(err, ERR_UNSUPPORTED,
                     "the database has a table %s of another program: give the registry a database "
                     "of its own",
                     PQgetvalue(res, 0, 1));
    PQclear(res);
    return rc;
}

static int
make_tables(struct pg *p, struct err *err)
{
    char text[160];

    pg_link_say(p, PG_CHECKED, "BEGIN");
    snprintf(text, sizeof text, "SELECT pg_advisory_xact_lock(%d, 0)", PG_LOCK_SCHEMA);
    pg_link_say(p, PG_CHECKED, text);
    pg_link_say(p, PG_CHECKED, "CREATE TABLE IF NOT EXISTS kv_schema (version integer NOT NULL)");
    snprintf(text, sizeof text,
             "INSERT INTO kv_schema SELECT %d WHERE NOT EXISTS (SELECT FROM kv_schema)",
             SCHEMA_VERSION);
    pg_link_say(p, PG_CHECKED, text);
    if (check_version(p, err) != 0)
        return -1;
    pg_link_say(p, PG_CHECKED, "CREATE TABLE IF NOT EXISTS kv_gate ()");
    pg_link_say(p, PG_CHECKED, "CREATE SEQUENCE IF NOT EXISTS kv_conflicts");
    pg_node_say_tables(p);
    for (size_t i = 0; i < p->n; i++)
        say_table(p, &p->tables[i]);
    if (check_tables(p, err) != 0)
        return -1;
    pg_link_say(p, PG_COMMIT, "COMMIT");
    return pg_link_flight(p, NULL, err);
}

/* With fewer of them, PostgreSQL locks whole pages or tables, and more transactions conflict. */
static void
warn_of_few_locks(struct pg *p)
{
    struct err ignored;
    PGresult *res;

    pg_link_say(p, PG_WANTED, "SELECT current_setting('max_pred_locks_per_transaction')");
    if (pg_link_flight(p, &res, &ignored) != 0)
        return;
    if (PQntuples(res) == 1 && strtol(PQgetvalue(res, 0, 0), NULL, 10) < PRED_LOCKS)
        log_line(LOG_WARN, "transactions will conflict often: raise a setting of PostgreSQL",
                 "max_pred_locks_per_transaction=%s wanted=%d", PQgetvalue(res, 0, 0), PRED_LOCKS);
    PQclear(res);
}

int
pg_schema_make(const char *address, const struct kv_table *tables, size_t n, struct err *err)
{
    struct pg *p = pg_link_new(address, tables, n);
    int rc;

    p->is_start = true;
    rc = pg_link_open(p, err);
    if (rc == 0)
        rc = make_tables(p, err);
    if (rc == 0)
        warn_of_few_locks(p);
    /* SQLSTATE 42: no rights, or tables of another program. That doesn't pass. */
    if (rc != 0 && err->code == ERR_SYSTEM && strstr(err->message, "(42") != NULL)
        err->code = ERR_UNSUPPORTED;
    pg_link_free(p);
    return rc;
}

int
pg_schema_check(struct pg *p, struct err *err)
{
    return check_version(p, err);
}

#endif
