#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/digest.h"
#include "util/err.h"

/* Copies all of `from`, from its beginning, to the empty file `to`, syncs that, and sets *digest
 * and *size of what was read. is_over: asked now and then; true: ERR_BUSY. 0; -1;
 * BACKUP_FILE_UNREAD: `from` can't be read. */
#define BACKUP_FILE_UNREAD (-2)
int backup_file_copy(int to, int from, enum digest_algo algo, struct digest *digest, uint64_t *size,
                     bool (*is_over)(void *arg), void *arg, const char *what, struct err *err);
