#pragma once

#include <stdbool.h>
#include "util/err.h"

/* The lock db/backup.lock, which a backup or a snapshot holds. While it is held, the keeper removes
 * no log and no file of a blob. The kernel releases it when its holder dies. root: the data
 * directory. */

/* A descriptor that holds the lock until it is closed. -1; ERR_BUSY: another backup holds it. */
int backup_lock_take(int root, struct err *err);

bool backup_lock_is_held(int root);
