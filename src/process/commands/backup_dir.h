#pragma once

#include <stddef.h>
#include "domain/backup/backup_info.h"
#include "util/err.h"

/* A directory with backups, as its owner sees it. Each backup is a directory of its own, named by
 * its time. One that isn't complete yet has the name BACKUP_DIR_WORK. */

#define BACKUP_DIR_WORK "unfinished"
/* A backup that is being removed has this behind its name. */
#define BACKUP_DIR_REMOVING ".removing"

struct backup_dir_list {
    char (*names)[BACKUP_TIME_MAX]; /* the oldest first */
    size_t n, room;
};

/* The names of the backups in it, complete or not. The caller frees l->names, also after a failure.
 */
int backup_dir_list(int dir, struct backup_dir_list *l, struct err *err);

/* Reads what backup.json of that backup says; the caller frees it, also after a failure. 1; 0: it
 * has none; -1. */
int backup_dir_info(int dir, const char *name, struct backup_info *info, struct err *err);

/* The name of the newest complete backup. 1, 0, -1. */
int backup_dir_newest(int dir, char name[BACKUP_TIME_MAX], struct err *err);

/* Removes the oldest complete backups but `keep`, and what an interrupted removal has left.
 * made: the one that was just made; it stays, also if the clock was put back and its name is old.
 */
int backup_dir_trim(int dir, size_t keep, const char *made, struct err *err);
