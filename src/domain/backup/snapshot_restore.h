#pragma once

#include <stdbool.h>
#include "domain/backup/backup_info.h"
#include "util/err.h"

/* Puts a database back from snapshots (snapshot.h). root: the descriptor of the data directory,
 * which is the working directory. No server runs there. */

/* What a restore has made. */
struct snapshot_restored {
    char name[BACKUP_TIME_MAX]; /* "": none; the logs begin with the store */
    bool with_logs;             /* with all that came since */
};

/* Fills the directory `to`, which is emptied before, with a database. name: exactly that snapshot;
 * NULL: the newest with the logs that follow it. If that can't be used, the newest without logs,
 * and then older ones are tried. ERR_CORRUPT: none can be used. */
int snapshot_restore_make(int root, const char *name, const char *to,
                          struct snapshot_restored *done, struct err *err);
/* After a failure: empties that directory. */
void snapshot_restore_drop(int root, const char *to);

/* The logs of the database before don't continue the one that was put back: puts them aside below
 * snapshots/. Does nothing if no restore has happened. */
int snapshot_restore_settle(int root, struct err *err);
