#pragma once

#include "storage/kv/kv_filling.h"
#include "storage/kv/pg_library.h"

/* The filling of kv.h with PostgreSQL: the common part of the pg_*.c files.
 *
 * Each table is a table of PostgreSQL, (k bytea, v bytea); the key of a queue is a bigint. A
 * process has one connection, always in pipeline mode: statements are sent without waiting, and a
 * flight waits for all their results together. Reads outside transactions are single statements. */

/* What is sent, and whose result wasn't read yet. */
enum pg_want {
    PG_CHECKED, /* its success is all that counts */
    PG_WANTED,  /* the flight returns its result; one in each flight */
    PG_COMMIT,
    PG_PREPARE, /* checked; makes a statement of a table */
    PG_FETCHED, /* its result is kept: it was announced */
    PG_SYNC,    /* the end of a group of statements: those behind a failed one are left out */
};

struct pg_pending {
    enum pg_want want;
    unsigned number; /* PG_PREPARE: of the statement; PG_FETCHED: in `expected` */
    bool is_over;    /* its transaction is over: its result counts no more */
};

/* The statements of a table. */
enum pg_statement {
    PG_GET,        /* key */
    PG_GET_LOCKED, /* key, number of its lock. Columns: value, whether it could be locked */
    PG_PUT,        /* key, value */
    PG_DELETE,     /* key */
    PG_PAGE,       /* first key, rows */
    PG_PAGE_TO,    /* first key, key behind the last, rows */
    PG_LAST,       /* first key */
    PG_LAST_TO,    /* first key, key behind the last */
    PG_APPEND,     /* value */
    PG_PLACE,      /* number, value */
    PG_STATEMENTS,
};

#define PG_PARAMS_MAX 3

/* A read that was announced. */
struct pg_expected {
    enum pg_statement s;
    unsigned table;
    struct bytes params[PG_PARAMS_MAX];
    int n;
    char *memory; /* of the parameters; NULL: the read is over, or a write has changed its result */
    PGresult *found; /* NULL: it wasn't fetched yet */
};

#define PG_EXPECTED_MAX 1024

/* A record of a queue, which is written at the end of the transaction. */
struct pg_append {
    unsigned table;
    size_t n;
    char *val;
};

struct pg {
    struct kv kv;
    char *address;
    const struct kv_table *tables;
    size_t n;
    PGconn *conn; /* NULL: not connected */
    bool is_broken;
    bool is_start;          /* what the server refuses for good ends it */
    bool *prepared;         /* PG_STATEMENTS for each table */
    bool leads, was_leader; /* the lock of the leader: has this connection it? */
    struct pg_pending *pending;
    size_t pending_n, pending_room;
    struct pg_expected *expected;
    size_t expected_n, expected_room;
    size_t expected_at; /* behind the one that was read last */

    /* the transaction */
    bool is_begun;
    bool is_alone;    /* no other one runs: it can't lose */
    bool is_doubtful; /* the commit may have been done, or be lost with the server */
    bool was_warned;  /* in this flight: the server doesn't wait for its standby */
    unsigned tries;
    uint64_t *changes; /* of each table: writes */
    struct pg_append *appends;
    size_t appends_n, appends_room;

    /* An absent key that another transaction had locked. The next try holds its lock from before
     * its snapshot on. */
    uint64_t awaited_key;
    bool awaits_key;
    uint64_t held_key;
    bool holds_key;
};

static inline struct pg *
pg_of(const struct txn *t)
{
    return (struct pg *)t->kv;
}

/* The numbers of advisory locks that are no keys. */
#define PG_LOCK_SCHEMA 21063
#define PG_LOCK_QUEUE 21064
#define PG_LOCK_FILES 21065
#define PG_LOCK_LEADER 21066
#define PG_LOCK_START 21067

/* Fills err from a failed result, or (NULL) from the lost connection, and returns -1. ERR_BUSY: a
 * conflict, or the connection is lost. */
int pg_error(const struct pg *p, const PGresult *res, struct err *err);
/* After this error of the server, the connection is of no use. */
bool pg_is_fatal(const PGresult *res);
