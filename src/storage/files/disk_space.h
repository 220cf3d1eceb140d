#ifndef STORAGE_FILES_DISK_SPACE_H
#define STORAGE_FILES_DISK_SPACE_H

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* Room on the disk. Uploads, and whoever else uses the file system, may fill it to its last byte;
 * the database must not meet that: a log that can't be begun, or a cache that can't be written, is
 * a crash. So there is a margin: what would bring bytes is refused while less than that is free. It
 * can't hold back bodies that are under way, so there is ballast as well, the file db/reserve, to
 * be given up for what has to be written whatever comes: a start, a recovery, a checkpoint. */

/* 32 MiB (two log files), on a small file system an eighth of it. */
uint64_t disk_space_margin(int dirfd);
/* What we may still write in the file system of dirfd; UINT64_MAX when that can't be told. */
uint64_t disk_space_free(int dirfd);

/* 0, or ERR_NO_SPACE when less than the margin would be free after `more` bytes. */
int disk_space_check(int dirfd, uint64_t more, struct err *err);

/* Gives up the ballast if hardly anything is free. Even then less than the margin is free, so that
 * nobody begins anything with it. root: the data directory. */
void disk_space_give(int root);
/* Makes the ballast anew once there is plenty of room. */
void disk_space_save(int root);

#endif
