#pragma once

#include <stdbool.h>
#include "domain/backup/backup_info.h"
#include "storage/kv/kv_backup.h"
#include "util/err.h"

/* Puts a database back from snapshots (snapshot.h). root: the descriptor of the data directory,
 * which is the working directory. No server runs there. */

/* The result of a restore. */
struct snapshot_restored {
    char name[BACKUP_TIME_MAX]; /* "": none; the logs begin with the store */
    bool with_logs;             /* with what came since, as far as `logs` says */
    bool from_tables;           /* of the tables that are there, which have everything */
    struct kv_log_state logs;   /* those that follow the newest snapshot */
    bool is_copied;             /* a snapshot of it waits for snapshot_settle_restored */
    char why_not[ERR_MESSAGE_MAX];
};

/* Fills the directory `to`, which is emptied before, with a database. name: exactly that snapshot;
 * NULL: the newest with the logs that follow it. If they are damaged, the tables in db/ are tried,
 * then the newest with the logs up to the damage, then without logs, and then older ones.
 * ERR_CORRUPT: none can be used. */
int snapshot_restore_make(int root, const char *name, const char *to,
                          struct snapshot_restored *done, struct err *err);
/* After a failure: empties that directory. */
void snapshot_restore_drop(int root, const char *to);
