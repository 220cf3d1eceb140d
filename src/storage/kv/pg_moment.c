#ifdef HAVE_LIBPQ

#include "storage/kv/pg_moment.h"
#include "storage/kv/pg.h"
#include "storage/kv/pg_link.h"

/* A snapshot alone may show what no order of the transactions explains, since they are
 * serializable and it isn't. So it is taken while none of them runs: under the lock that each of
 * them shares (pg_statement.c), which goes with the savepoint, while the snapshot stays. */
static const char *const moment[] = {
    "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
    "SET LOCAL idle_in_transaction_session_timeout = '10min'",
    "SET LOCAL lock_timeout = '5s'",
    "SAVEPOINT quiet",
    "LOCK TABLE kv_gate IN EXCLUSIVE MODE",
    "SELECT FROM kv_schema",
    "ROLLBACK TO SAVEPOINT quiet",
};

static void
roll_back_moment(struct pg *p)
{
    pg_link_say(p, PG_CHECKED, "ROLLBACK");
    pg_link_sync(p);
}

int
pg_moment_begin(struct kv *kv, struct err *err)
{
    struct pg *p = (struct pg *)kv;

    if (pg_link_open(p, err) != 0)
        return -1;
    for (size_t i = 0; i < sizeof moment / sizeof moment[0]; i++)
        pg_link_say(p, PG_CHECKED, moment[i]);
    if (pg_link_flight(p, NULL, err) == 0)
        return 0;
    roll_back_moment(p);
    return -1;
}

void
pg_moment_end(struct kv *kv)
{
    roll_back_moment((struct pg *)kv);
}

/* ---- files ---- */

#define LOCK_TEXT_MAX 240

int
pg_moment_hold_files(struct kv *kv, struct err *err)
{
    struct pg *p = (struct pg *)kv;
    char text[LOCK_TEXT_MAX];

    if (pg_link_open(p, err) != 0)
        return -1;
    snprintf(text, sizeof text, "SELECT pg_advisory_lock_shared(%d, 0)", PG_LOCK_FILES);
    pg_link_say(p, PG_CHECKED, text);
    return pg_link_flight(p, NULL, err);
}

int
pg_moment_are_files_held(struct kv *kv, struct err *err)
{
    struct pg *p = (struct pg *)kv;
    char text[LOCK_TEXT_MAX];
    PGresult *res;
    int rc;

    if (pg_link_open(p, err) != 0)
        return -1;
    snprintf(text, sizeof text,
             "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = %d AND database ="
             " (SELECT oid FROM pg_database WHERE datname = current_database()) LIMIT 1",
             PG_LOCK_FILES);
    pg_link_say(p, PG_WANTED, text);
    if (pg_link_flight(p, &res, err) != 0)
        return -1;
    rc = PQntuples(res);
    PQclear(res);
    return rc;
}

#endif
