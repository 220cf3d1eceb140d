#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* Room on the disk. Uploads, and other programs, may fill the file system to its last byte, and the
 * database must never meet a full disk: a log that can't be begun, or a cache that can't be
 * written, is a crash. So there is a margin: requests that bring bytes are refused while less than
 * that is free. The margin can't hold back bodies that are under way, so there is ballast as well:
 * the file db/reserve, which is given up for writes that can't wait: a start, a recovery, a
 * checkpoint. */

/* 32 MiB (two log files), on a small file system an eighth of it. */
uint64_t disk_space_margin(int dirfd);
/* The bytes that may still be written to the file system of dirfd; UINT64_MAX if unknown. */
uint64_t disk_space_free(int dirfd);

/* 0, or ERR_NO_SPACE when less than the margin would be free after `more` bytes. */
int disk_space_check(int dirfd, uint64_t more, struct err *err);

/* Gives up the ballast if hardly anything is free. Even then less than the margin is free, so that
 * no upload uses it. root: the data directory. */
void disk_space_give(int root);
/* Creates the ballast again once there is plenty of room. */
void disk_space_save(int root);
