#ifndef STORAGE_KV_KV_H
#define STORAGE_KV_KV_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The narrow waist: ordered tables of byte keys and values, cursors from a key on, append to a
 * queue, and transactions. All table modules are written against this and nothing else;
 * kv_bdb*.c fill it with Berkeley DB, another filling could stand beside it.
 *
 * One process opens a store once, after fork, and uses it from one thread. */

struct kv;
struct kv_cursor;

enum kv_kind {
    KV_ORDERED, /* keys in byte order */
    KV_QUEUE,   /* keys are sequence numbers (uint32), values of at most record_size bytes */
};

struct kv_table {
    const char *name; /* also the name of its file */
    enum kv_kind kind;
    uint32_t page_size;   /* 0: 4096 */
    uint32_t record_size; /* queue: longest value */
};

/* A process that has the store open shares one of these with the master, in memory that survives
 * it. in_db says whether it might hold anything that others wait for: from before the first library
 * call to after the end of the last transaction and cursor. Set by the filling, and by the master
 * before it forks; read by the master when the process dies or stays too long (see process/). */
struct kv_slot {
    atomic_int pid;
    atomic_bool in_db;
    atomic_bool ready;      /* the store is open, or the process is at work */
    atomic_ullong since_ms; /* clock_mono_ms() at the last change of in_db to true */
};

/* How reads and writes are made: inside a transaction, or each read for itself (kv_reads). */
struct txn;

/* ---- opening ---- */

/* Creates what is missing and recovers what a crash left: alone, nobody else may have the store
 * open. dir is relative to the working directory, which must not change while the store is open.
 * ERR_NO_SPACE: the disk is full; it works again once there is room. */
int kv_recover(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Joins a recovered store. tables: the same as for kv_recover; they are named by their index from
 * here on. slot may be NULL (tests). lost: called when the environment is beyond use for everybody
 * and only a recovery helps; it must not return. NULL on failure: in_db then stays true, so
 * that the master recovers; except after ERR_NO_SPACE, which recovery doesn't cure. */
struct kv *kv_open(const char *dir, const struct kv_table *tables, size_t n, struct kv_slot *slot,
                   void (*lost)(const char *why), struct err *err);
/* Clean: leaves nothing behind in the shared regions. NULL is fine. */
void kv_close(struct kv *kv);

/* ---- transactions ---- */

/* Reads outside a transaction: each sees what is committed at its moment. Lives as long as kv.
 * Writes through it fail, and so does everything during a transaction: it would wait for itself. */
struct txn *kv_reads(struct kv *kv);

/* Begins, calls fn, and commits durably when fn returns 0; aborts when it returns -1. After a
 * conflict with others (a deadlock) everything is undone and fn is called again, at most 20 times,
 * with jittered pauses; then ERR_BUSY. So fn must be free of effects outside the transaction, and
 * must set anew at its start all that it hands out. Nothing else retries. Returns what fn returned,
 * or -1 when the commit failed, or something before it that fn kept to itself. err is cleared
 * before each try. Fails at once inside another transaction, or while a cursor is open outside.
 *
 * Rules for fn: no file I/O, short; tables in the order of tables.h, keys sorted within a table;
 * kv_get_for_update where a put of the same key follows; the event last. */
int txn_run(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
            struct err *err);

/* From here on txn_run fails with ERR_NO_SPACE while there is less room on the disk than the margin
 * (storage/files/disk_space.h): for processes that write what strangers send. */
void kv_keep_room(struct kv *kv);
/* As txn_run, but without regard to that: for what makes room in the end. */
int txn_run_anyway(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
                   struct err *err);

/* ---- one key ---- (look-ups: 1 found, 0 not there, -1 failed) */

/* val is reset and filled; NULL to ask only whether it is there. A value longer than val's maximum
 * is ERR_CORRUPT. */
int kv_get(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err);
int kv_get_for_update(struct txn *t, unsigned table, struct bytes key, struct buf *val,
                      struct err *err);
/* 0 or -1; replaces. */
int kv_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err);
/* 1 it was there and is gone, 0 it wasn't, -1. */
int kv_delete(struct txn *t, unsigned table, struct bytes key, struct err *err);

/* ---- ranges ---- */

/* The last entry whose key starts with prefix: 1, 0, -1. key and val may be NULL. */
int kv_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key, struct buf *val,
            struct err *err);

/* A cursor holds locks on the page where it stands, outside transactions too: close it soon, and
 * always before the transaction ends. Queues: keys are 4 bytes, big-endian. */
int kv_cursor_open(struct txn *t, unsigned table, struct kv_cursor **out, struct err *err);
void kv_cursor_close(struct kv_cursor *c);
/* To the first entry at or behind key: 1, 0 when there is none, -1. An empty key: the very first.
 */
int kv_cursor_seek(struct kv_cursor *c, struct bytes key, struct err *err);
int kv_cursor_next(struct kv_cursor *c, struct err *err);
/* Where it stands, after a 1; valid until it moves. */
struct bytes kv_cursor_key(const struct kv_cursor *c);
struct bytes kv_cursor_val(const struct kv_cursor *c);

/* ---- queues ---- */

/* Appends, in the order of commits for what conflicts otherwise. *seq: its number, from 1. Numbers
 * of aborted transactions are never used. */
int kv_append(struct txn *t, unsigned table, struct bytes val, uint32_t *seq, struct err *err);

/* ---- upkeep, by one process (the keeper) ---- */

/* Writes a checkpoint when that much log has come since the last, or that much time. */
int kv_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err);
/* Removes log files that recovery no longer needs. Never during a backup. */
int kv_trim_logs(struct kv *kv, struct err *err);

#endif
