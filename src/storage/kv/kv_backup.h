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

/* How much of the logs in a copy can be read. */
struct kv_log_state {
    bool is_whole;     /* all of it, except what a crash may leave at the end; else: */
    char log[16];      /* the log that is damaged or missing first, or that the others end with */
    uint32_t at;       /* the byte behind which it can't be read */
    uint64_t lost;     /* the bytes of logs behind that place, as far as they are there */
    uint64_t moment_s; /* of the last commit before it; 0: there is none */
};

/* Before kv_backup_mend: cuts off what is behind the first damage in the logs of a copy, or behind
 * one that is missing, so that what is before it can be repeated. store: the store that was copied,
 * which may be damaged or gone; its note of the last checkpoint tells whether the end is missing.
 * ERR_CORRUPT: there is nothing that can be read. */
int kv_backup_cut_logs(const char *dir, const char *store, struct kv_log_state *out,
                       struct err *err);

/* Makes a store of the tables of another one, which no process has open, without its logs, in the
 * empty directory `to`. ERR_CORRUPT: a table is damaged, or it isn't certain that everything that
 * was logged had been written to the tables, as it is after a clean stop. */
int kv_backup_take_tables(const char *store, const char *to, const struct kv_table *tables,
                          size_t n, struct err *err);

/* When no process has the store open any more: notes that its tables have everything, if that is
 * so, as after a clean stop. Then they are as good without their logs (kv_backup_take_tables). 0 or
 * -1. */
int kv_backup_note_stop(const char *dir, struct err *err);

/* Verifies each table of a store that no process has open, and changes nothing. ERR_CORRUPT: the
 * message has the table. */
int kv_backup_verify(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Opens a store that no process has open, for reading with kv_reads, and changes nothing.
 * kv_close closes it. NULL on failure. */
struct kv *kv_backup_open(const char *dir, const struct kv_table *tables, size_t n,
                          struct err *err);

/* Makes a new store in the empty directory dir, which only this process uses, without waiting for
 * the disk. NULL on failure. kv_backup_made closes it, also after a failure, and leaves what
 * kv_backup_mend leaves: a copy. kv_close instead of it leaves what can only be removed. */
struct kv *kv_backup_make(const char *dir, const struct kv_table *tables, size_t n,
                          struct err *err);
int kv_backup_made(struct kv *kv, struct err *err);

/* The number of a log, from the name of its file; 0: it is no log. */
uint32_t kv_backup_log_number(const char *name);

/* Each log of the store DIR/db gets a second name in this directory of DIR, if it is there, before
 * anything is written to it. The store never removes these names. */
#define KV_BACKUP_LOGS "snapshots/logs"
