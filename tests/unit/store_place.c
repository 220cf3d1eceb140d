#include "store_place.h"
#include <stdio.h>
#include <stdlib.h>
#ifdef HAVE_LIBPQ
#include <libpq-fe.h>
#endif

const char *
store_place(void)
{
    const char *url = getenv("REGISTRY_TEST_DATABASE");

    return url != NULL ? url : "db";
}

bool
store_place_is_remote(void)
{
    return getenv("REGISTRY_TEST_DATABASE") != NULL;
}

/* Deletes all records, which is much faster than making the tables anew. */
static const char clear_text[] =
    "SET client_min_messages = warning; SET lock_timeout = '20s'; "
    "DO $$ DECLARE t text; BEGIN"
    " FOR t IN SELECT tablename FROM pg_tables"
    "  WHERE schemaname = 'public' AND tablename <> 'kv_schema' LOOP"
    "  EXECUTE format('DELETE FROM %I', t); END LOOP;"
    " FOR t IN SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' LOOP"
    "  PERFORM setval(quote_ident(t), 1, false); END LOOP; END $$";

int
store_place_sql(const char *text, struct err *err)
{
    int rc = 0;

#ifdef HAVE_LIBPQ
    PGconn *conn = PQconnectdb(store_place());
    PGresult *res = PQexec(conn, text);
    if (PQresultStatus(res) != PGRES_COMMAND_OK && PQresultStatus(res) != PGRES_TUPLES_OK)
        rc = err_set(err, ERR_SYSTEM, "%s", PQerrorMessage(conn));
    PQclear(res);
    PQfinish(conn);
#else
    (void)text;
    rc = err_set(err, ERR_SYSTEM, "built without PostgreSQL");
#endif
    return rc;
}

int
store_place_clear(struct err *err)
{
    return store_place_is_remote() ? store_place_sql(clear_text, err) : 0;
}
