#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* Room on the disk. Uploads and other programs can fill the file system, but the database crashes
 * on a full disk, if it can't begin a log or write its cache. So requests that bring bytes are
 * refused while less than a margin is free. Bodies that are already being received can use up the
 * margin, so there is a ballast as well: the file db/reserve, which is given up for writes that
 * can't wait (a start, a recovery, a checkpoint). */

/* 32 MiB (two log files), on a small file system an eighth of it. */
uint64_t disk_space_margin(int dirfd);
/* The room without which nothing can be pushed. */
uint64_t disk_space_needed(int dirfd);
/* The bytes that may still be written to the file system of dirfd; UINT64_MAX if unknown. */
uint64_t disk_space_free(int dirfd);

/* From now on this process, and those that it forks, keep at least `bytes` free (--min-free).
 * The ballast doesn't grow with it. */
void disk_space_keep(uint64_t bytes);

/* 0, or ERR_NO_SPACE when less than the margin, or what is kept, would be free after `more` bytes.
 */
int disk_space_check(int dirfd, uint64_t more, struct err *err);
/* The same for the margin alone: may the database change? Not for the same descriptor. */
int disk_space_check_margin(int dirfd, struct err *err);

/* Gives up the ballast if the disk is almost full. Less than the margin is then free, so uploads
 * can't use it. root: the data directory. */
void disk_space_give(int root);
/* Creates the ballast again once there is plenty of room. */
void disk_space_save(int root);
