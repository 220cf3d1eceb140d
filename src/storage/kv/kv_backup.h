#pragma once

#include "storage/kv/kv.h"

/* Copies of a store, for backups and snapshots. A copy is a directory of plain files. tables and n
 * are those of kv_open. */

/* Copies the open store into the empty directory `to`, while others use it. Until it returns, no
 * log may be removed (storage/files/backup_lock.h). `to` is consistent only after kv_backup_mend.
 * Then it has everything that was committed before *moment_ms, and perhaps a little more. is_over:
 * asked now and then; true: fails. */
int kv_backup_copy(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg),
                   void *arg, struct err *err);

/* Makes a copy consistent: repeats all logs that are in the directory from their beginning, undoes
 * what wasn't committed, verifies each table, and makes everything durable. Logs that were put
 * beside a mended copy, in place of its own, are repeated as well, if they begin with those that it
 * was made with. A small log is left. ERR_CORRUPT: this can't be used. */
int kv_backup_mend(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Verifies each table of a store that no process has open, and changes nothing. ERR_CORRUPT: the
 * message has the table. */
int kv_backup_verify(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Opens a store that no process has open, for reading with kv_reads, and changes nothing.
 * kv_close closes it. NULL on failure. */
struct kv *kv_backup_open(const char *dir, const struct kv_table *tables, size_t n,
                          struct err *err);

/* The number of a log, from the name of its file; 0: it is no log. */
uint32_t kv_backup_log_number(const char *name);

/* Each log of the store DIR/db gets a second name in this directory of DIR, if it is there, before
 * anything is written to it. Nobody here removes these names. */
#define KV_BACKUP_LOGS "snapshots/logs"
