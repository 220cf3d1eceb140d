#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/backup/backup_info.h"
#include "domain/registry.h"
#include "storage/files/backup_lock.h"
#include "util/err.h"

/* Copies of the database alone, below snapshots/ of the data directory, named as backups are. The
 * store gives each of its logs a second name below snapshots/logs (storage/kv/kv_backup.h). So the
 * newest snapshot and the logs that follow it are the whole database, also when db/ is gone. root:
 * the descriptor of the data directory, which is the working directory. */

struct snapshots {
    char (*names)[BACKUP_TIME_MAX]; /* the oldest first */
    size_t n, room;
};

/* 0 or -1; the caller frees s->names, also after a failure. */
int snapshot_list(int root, struct snapshots *s, struct err *err);

/* Takes a snapshot. Removes all but the newest `keep`, and the logs that only the removed ones
 * needed. name: that of the new snapshot. ERR_BUSY: a backup runs, or wait->is_over; ERR_NO_SPACE:
 * the margin of the disk would be used. */
int snapshot_take(const struct registry *reg, size_t keep, char name[BACKUP_TIME_MAX],
                  const struct backup_lock_wait *wait, struct err *err);

/* *bytes: the size of the logs below snapshots/logs. *alone: the size of those that db/ doesn't
 * have any more. */
void snapshot_measure_logs(int root, uint64_t *bytes, uint64_t *alone);
/* Are all logs there that the newest snapshot needs? Without a snapshot: all since the store was
 * made. */
bool snapshot_is_continuous(int root);

/* Removes the oldest snapshot, unless it is the only one. 1, 0 (there are no others), -1. */
int snapshot_drop_oldest(int root, struct err *err);
/* Removes the logs that db/ doesn't have any more. */
int snapshot_drop_logs(int root, struct err *err);

/* ---- for snapshot_restore.h ---- */

/* The first log that follows a snapshot. False: it isn't known. */
bool snapshot_first_log(int root, const char *name, uint32_t *first);
/* Is that log there? */
bool snapshot_has_log(int root, uint32_t number);

/* A database that was put back becomes a snapshot as well, so that the disk has it twice. Empties
 * and makes the directory SNAPSHOT_COPY for its files. ERR_NO_SPACE: the margin of the disk would
 * be used. */
#define SNAPSHOT_COPY "snapshots/unfinished"
int snapshot_begin_copy(int root, const char *store, struct err *err);
/* Call it when the files are there. store: the directory that they come from. */
int snapshot_end_copy(int root, const char *store, struct err *err);

/* A marker in a database that was put back, until it is settled: the logs below snapshots/ belong
 * to the previous database. is_copied: SNAPSHOT_COPY is complete. */
#define SNAPSHOT_RESTORED "restored"
int snapshot_mark_restored(int root, const char *store, bool is_copied, struct err *err);
/* If the database in db/ has that marker: puts the logs of the previous database aside below
 * snapshots/, gives the copy its name and the logs their second names, and removes the marker. If a
 * crash interrupts this, the next call finishes it. */
int snapshot_settle_restored(int root, struct err *err);
