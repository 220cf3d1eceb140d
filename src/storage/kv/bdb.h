#pragma once

#include <db.h>
#include <time.h>
#include "storage/kv/kv_filling.h"
#include "storage/kv/kv_slot.h"

/* The filling of kv.h with Berkeley DB: the common part of the bdb_*.c files, the only ones that
 * include db.h. `ret` is always a result of the library (0, or an error), `rc` one of ours.
 *
 * Handles are opened without DB_THREAD: a process uses the store from one thread, and all its reads
 * outside transactions then have one locker. With DB_THREAD each read has its own, and a get beside
 * an open cursor waits for ever if a writer is between the two in the queue for the page, since no
 * deadlock detector sees that both belong to one process. */

struct bdb {
    struct kv kv;
    DB_ENV *env;
    DB **db; /* one a table; NULL where not open */
    const struct kv_table *tables;
    size_t n;
    DB_TXN *txn; /* the transaction that runs, or NULL */
    struct kv_slot *slot;
    void (*lost)(const char *why);
    unsigned depth;             /* of bdb_enter; slot->in_db is depth > 0 */
    struct bdb_cursor *cursors; /* those open outside transactions */
    uint8_t *record;            /* room for the longest record of a queue */
    db_recno_t recno;           /* the number that the key of a queue points to */
    struct timespec synced;     /* the directory's last change before its last fsync */
    bool found_damage;          /* since bdb_enter: a page with a wrong checksum */
    char bad_file[32];          /* whose page couldn't be read last; "": none */
    uint32_t bad_page;
    bool sync_failed;    /* an fsync of one of its files */
    int fault;           /* errno of the first system call of the library that failed */
    DB_LSN trimmed;      /* the checkpoint after which logs were removed */
    DB_LSN noted;        /* the checkpoint whose place bdb_log_end has written down */
    struct bdb *outer;   /* the store that was open when this one was opened, or NULL */
    bool recovers;       /* its tables may lack pages that are in the log */
    bool from_first_log; /* a recovery repeats the whole log, not only behind the checkpoint */
    bool is_quiet;       /* no environment: the tables are only read, by this process */
    bool is_silent;      /* what the library says is not logged */
    unsigned lines;      /* that the library has logged since lines_since_ms */
    bool is_fresh;       /* it is being made, and synced at the end: bdb_fresh.h */
    bool is_private;     /* it is made by this process alone: bdb_backup_make */
    bool keeps_logs;     /* gives new ones a second name: KV_BACKUP_LOGS */
    uint64_t lines_since_ms;
};

/* Records of queues have a fixed length; two bytes in front are the length of the value. */
#define BDB_LENGTH_BYTES 2

/* Retries of a read outside a transaction, after it has lost a conflict. */
#define BDB_RETRIES 20

static inline struct bdb *
bdb_of(const struct txn *t)
{
    return (struct bdb *)t->kv;
}

/* The library's handle of t. */
static inline DB_TXN *
bdb_txn(const struct txn *t)
{
    return t->is_reads ? NULL : bdb_of(t)->txn;
}

static inline DBT
bdb_dbt(const void *p, size_t n)
{
    return (DBT){.data = (void *)p, .size = (uint32_t)n};
}

/* Makes a store with nothing open. */
struct bdb *bdb_new(const char *dir, const struct kv_table *tables, size_t n);
void bdb_free(struct bdb *b);

/* Called around everything for which other processes may have to wait. Calls can be nested. */
void bdb_enter(struct bdb *b);
void bdb_leave(struct bdb *b);

/* Called if only a recovery can help. Doesn't return. */
_Noreturn void bdb_lost(struct bdb *b, const char *why);
/* Has the library marked the environment as lost, for good? Waits a moment if it is marked, because
 * it also is while another process reads a damaged page (bdb_env.c). */
bool bdb_is_lost(struct bdb *b);
/* Is ret an error after which only a recovery can help? */
bool bdb_is_fatal(struct bdb *b, int ret);
/* Can what returned ret be tried again? */
bool bdb_is_conflict(struct bdb *b, int ret);
/* Waits a moment before something that has lost a conflict is tried again. */
void bdb_pause(void);

/* Fills err from the library's error, and returns -1. */
int bdb_error(struct err *err, int ret, const char *what, const char *name);
/* The same for something done to the whole environment; doesn't return if it was fatal. */
int bdb_fail_env(struct bdb *b, int ret, const char *what, struct err *err);
/* The same for an operation in t, which can't be committed after it. */
int bdb_fail(struct txn *t, int ret, const char *what, unsigned table, struct err *err);

/* Points dbt at the key in the table's form. False: the table can't have such a key. */
bool bdb_key(struct bdb *b, unsigned table, struct bytes key, DBT *dbt);
/* Finds the value in a record of the library. 0 or -1. */
int bdb_value(const struct bdb *b, unsigned table, const DBT *dbt, struct bytes *val,
              struct err *err);
/* Copies the value into out (NULL: does nothing). 0 or -1. */
int bdb_copy(const struct bdb *b, unsigned table, struct bytes from, struct buf *out,
             struct err *err);
