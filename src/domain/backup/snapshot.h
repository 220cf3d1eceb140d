#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/backup/backup_info.h"
#include "domain/registry.h"
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

/* Takes one, and removes the oldest but `keep`, and the logs that only those needed. name: its
 * name. ERR_BUSY: a backup runs, or is_over; ERR_NO_SPACE: the margin of the disk would be used. */
int snapshot_take(const struct registry *reg, size_t keep, char name[BACKUP_TIME_MAX],
                  bool (*is_over)(void *arg), void *arg, struct err *err);

/* The bytes of the logs below snapshots/logs, and of those that db/ doesn't have any more. */
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
/* Are all logs there, from that one to the last? */
bool snapshot_has_logs(int root, uint32_t first);
