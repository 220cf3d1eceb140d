#ifndef STORAGE_KV_KV_BDB_H
#define STORAGE_KV_KV_BDB_H

#include <db.h>
#include <time.h>
#include "storage/kv/kv.h"

/* What the kv_bdb*.c files share. Only they see Berkeley DB.
 *
 * Handles are opened without DB_THREAD, because a process uses the store from one thread, and
 * because Berkeley DB then gives all reads outside transactions one locker. With DB_THREAD each has
 * its own, and a get beside an open cursor waits for ever as soon as a writer stands between the
 * two in the queue for the page: no deadlock detector sees that they are the same process. */

struct txn {
    struct kv *kv;
    DB_TXN *id;      /* NULL: kv_reads */
    struct err doom; /* ERR_NONE, or why it can't be committed any more; ERR_BUSY is a conflict */
};

struct kv {
    DB_ENV *env;
    DB **db; /* one a table; NULL where not open */
    const struct kv_table *tables;
    size_t n;
    char *dir;
    struct kv_slot *slot;
    void (*lost)(const char *why);
    int keep_room; /* the directory, to look for room; -1: doesn't matter */
    int depth;     /* how many things are open or going on: slot->in_db is depth > 0 */
    struct txn reads;
    struct txn txn;            /* the one that runs, when its id isn't NULL */
    struct kv_cursor *cursors; /* those open outside transactions */
    uint8_t *record;           /* room for the longest record of a queue */
    uint32_t recno;            /* the number that the key of a queue points to */
    struct timespec synced;    /* when the directory had changed last before its last fsync */
    unsigned lines;            /* what the library has said since lines_since_ms */
    uint64_t lines_since_ms;
};

/* Records of queues have a fixed length; two bytes in front say how many are the value. */
#define BDB_LENGTH_BYTES 2

/* How often what lost a conflict is tried again. */
#define BDB_RETRIES 20

/* ---- kv_bdb_env.c ---- */

/* A kv with nothing open, or NULL. */
struct kv *bdb_new(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
/* Opens the environment with all settings, and all tables. create: also what is missing, after
 * recovery. 0 or -1; err->sys is the library's number. */
int bdb_attach(struct kv *kv, bool create, struct err *err);
/* Closes what is open. 0, or the library's number for the first failure. */
int bdb_detach(struct kv *kv);
void bdb_free(struct kv *kv);

/* ---- kv_bdb.c ---- */

/* Around everything during which others might have to wait for this process. They nest. */
void bdb_enter(struct kv *kv);
void bdb_leave(struct kv *kv);

/* Nothing but a recovery helps. Doesn't return. */
_Noreturn void bdb_lost(struct kv *kv, const char *why);
/* Whether ret, the library's, is of that kind. */
bool bdb_is_fatal(int ret);
bool bdb_is_conflict(int ret);
/* Before what lost a conflict is tried again. */
void bdb_pause(void);

/* Fills err from the library's number, and returns -1. */
int bdb_error(struct err *err, int ret, const char *what, const char *name);
/* The same for something done to the whole environment; doesn't return when it was fatal. */
int bdb_fail_env(struct kv *kv, int ret, const char *what, struct err *err);
/* The same for an operation in t, which can't be committed after it. */
int bdb_fail(struct txn *t, int ret, const char *what, unsigned table, struct err *err);
/* 0 when something may be done in t, else -1: after a failure, for writes through kv_reads, for
 * reads through kv_reads during a transaction (they would wait for its locks, for ever). */
int bdb_check(const struct txn *t, unsigned table, bool write, struct err *err);

/* Points dbt at the key as the table wants it: 1, 0 when no such key can be there, -1. */
int bdb_key(struct kv *kv, unsigned table, struct bytes key, DBT *dbt, struct err *err);
/* The value in what the library gave: 0 or -1. */
int bdb_value(const struct txn *t, unsigned table, const DBT *dbt, struct bytes *val,
              struct err *err);
/* Copies into out; NULL is fine. 0 or -1. */
int bdb_copy(const struct txn *t, unsigned table, struct bytes from, struct buf *out,
             struct err *err);

uint32_t bdb_get_u32(const void *p);
void bdb_put_u32(void *p, uint32_t v);

static inline DBT
bdb_dbt(const void *p, size_t n)
{
    return (DBT){.data = (void *)p, .size = (uint32_t)n};
}

/* ---- kv_bdb_cursor.c ---- */

/* Frees what the cursors outside transactions hold; they come back to their places by themselves.
 * What has lost a conflict outside a transaction does this before it tries again: the cursors'
 * locks may be what the winner waits for. */
void bdb_let_go(struct kv *kv);

#endif
