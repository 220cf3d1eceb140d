#pragma once

#include <stddef.h>
#include <stdint.h>
#include "storage/kv/kv_types.h"
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* The narrow waist: ordered tables of byte keys and values, cursors over ranges of keys, queues,
 * and transactions. All tables are written against this header and nothing else; what stands
 * behind it is a filling (kv_filling.h). kv_open.h opens and recovers a store.
 *
 * A process opens a store once, after fork, and uses it from one thread. */

/* ---- transactions ---- */

/* For reads outside a transaction: each sees what is committed at its moment. Lives as long as kv.
 * Writes fail; during a transaction reads fail, too, because the process would wait for itself. */
struct txn *kv_reads(struct kv *kv);

/* Begins, calls fn, and commits durably if fn returns 0; undoes everything if fn returns -1. After
 * a conflict with another process (a deadlock) everything is undone and fn is called again, at most
 * 20 times, with random pauses; then ERR_BUSY. So fn must have no effects outside the transaction,
 * and must set all its results at its start. Nothing else retries. Returns what fn returned, or -1
 * if the commit failed, or a call whose failure fn has ignored. err is cleared before each try.
 * Fails at once inside another transaction, or while a cursor outside of it is open.
 *
 * Rules for fn: no file I/O, short; tables in the order of tables.h, keys sorted within a table;
 * kv_get_for_update where a put of the same key follows; the event last. */
int txn_run(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
            struct err *err);

/* Called in a transaction if a power loss may undo what it writes, because nobody was promised that
 * it lasts. Its commit then doesn't wait for the disk. It survives the death of any process, and is
 * on disk after the next commit of another transaction at the latest. */
void kv_relax(struct txn *t);

/* From now on txn_run fails with ERR_NO_SPACE while the disk has less room than the margin
 * (storage/files/disk_space.h). For processes that store what clients send. */
void kv_keep_room(struct kv *kv);
/* From now on txn_run and txn_run_anyway fail with ERR_READ_ONLY. */
void kv_refuse_writes(struct kv *kv);
/* Like txn_run, but ignores the margin: for transactions that lead to more room in the end. */
int txn_run_anyway(struct kv *kv, int (*fn)(struct txn *t, void *arg, struct err *err), void *arg,
                   struct err *err);

/* ---- one key ---- (look-ups: 1 found, 0 not there, -1 failed) */

/* val is emptied and filled; NULL: only tells whether the key exists. A value longer than val's
 * maximum is ERR_CORRUPT. */
int kv_get(struct txn *t, unsigned table, struct bytes key, struct buf *val, struct err *err);
int kv_get_for_update(struct txn *t, unsigned table, struct bytes key, struct buf *val,
                      struct err *err);

/* Puts a value, or replaces it. 0 or -1. */
int kv_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err);
/* 1: deleted, 0: it wasn't there, -1. */
int kv_delete(struct txn *t, unsigned table, struct bytes key, struct err *err);
/* The same without this answer, so that a filling need not wait for it. 0 or -1. */
int kv_drop(struct txn *t, unsigned table, struct bytes key, struct err *err);

/* Appends to a queue. A cursor that goes through the queue never passes a number that may still be
 * committed: it waits. */
int kv_append(struct txn *t, unsigned table, struct bytes val, struct err *err);
/* Puts a record of a queue under its number, or replaces it, in a store that is made as a copy of
 * another one, and to which nobody appends. What is appended later gets greater numbers. */
int kv_place(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err);

/* ---- announcing reads ----
 *
 * Announces what t reads next: a key, with kv_get or kv_get_for_update; the first entries of a
 * range, with a cursor that seeks exactly this range; the last entry with a prefix. A filling
 * behind a network then fetches all that was announced when the first of it is read, and waits
 * once. Other reads give the same results without an announcement, and with one for something that
 * isn't read.
 *
 * In a transaction, announcements hold until its end. Outside, each one serves one read, which sees
 * the moment when they were fetched. So kv_expect_end must end them before the caller returns; the
 * beginning of a transaction ends them, too. */

/* Is it of any use? Not if the store is in this machine. */
bool kv_expects(const struct txn *t);
void kv_expect(struct txn *t, unsigned table, struct bytes key);
void kv_expect_for_update(struct txn *t, unsigned table, struct bytes key);
void kv_expect_range(struct txn *t, unsigned table, const struct kv_range *range);
void kv_expect_last(struct txn *t, unsigned table, struct bytes prefix);
void kv_expect_end(struct txn *t);

/* ---- ranges ---- */

/* A cursor holds locks on the page where it stands, outside transactions too: close it soon, and
 * always before the transaction ends. */
int kv_cursor_open(struct txn *t, unsigned table, struct kv_cursor **out, struct err *err);
void kv_cursor_close(struct kv_cursor *c);
/* Moves to the first entry of the range. 1, 0 (there is none), -1. The bytes of the prefix must
 * stay valid while the cursor is in use. */
int kv_cursor_seek(struct kv_cursor *c, const struct kv_range *range, struct err *err);
int kv_cursor_next(struct kv_cursor *c, struct err *err);
/* The entry, after a 1; valid until the cursor moves. */
struct bytes kv_cursor_key(const struct kv_cursor *c);
struct bytes kv_cursor_val(const struct kv_cursor *c);

/* The last entry whose key starts with prefix (of a queue: the last entry; prefix is empty): 1, 0,
 * -1. key and val may be NULL. */
int kv_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key, struct buf *val,
            struct err *err);

/* Returns when all commits so far are on disk: for callers that pass on what they have read. Costs
 * nothing if they are there already. */
int kv_flush(struct kv *kv, struct err *err);

/* Is the store a database that isn't in the data directory? */
bool kv_is_remote(const struct kv *kv);

/* How often this process has waited for an answer of such a database since it opened the store. */
uint64_t kv_flights(const struct kv *kv);

/* ---- upkeep, by one process (the keeper) ---- */

/* Writes a checkpoint, which shortens the next recovery, if this much was logged or this much time
 * has passed since the last one. */
int kv_checkpoint(struct kv *kv, uint32_t log_kbytes, uint32_t minutes, struct err *err);
/* Counts of all processes since the last recovery of the store. */
struct kv_stats {
    uint64_t cache_hits, cache_misses; /* pages */
    uint64_t deadlocks;                /* conflicts that one side had to lose */
    uint64_t log_bytes;                /* written */
};
int kv_stats(struct kv *kv, struct kv_stats *out, struct err *err);
/* Removes logs that a recovery doesn't need. Must not be called during a backup. */
int kv_trim_logs(struct kv *kv, struct err *err);
