#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/err.h"

/* The lock db/backup.lock, which a backup or a snapshot holds. While it is held, the keeper removes
 * no log and no file of a blob. The kernel releases it when its holder dies. root: the data
 * directory. */

struct backup_lock_wait {
    const char *what; /* what the caller does, for others who wait then: "backup" */
    uint64_t ms;      /* how long it waits for another one, if there are not too many that wait */
    bool (*is_over)(void *arg);
    /* While it waits, each second; holder: "the snapshot (process 17)". */
    void (*tell)(void *arg, const char *holder);
    void *arg;
};

/* A descriptor that holds the lock until it is closed. -1; ERR_BUSY: the message names who holds
 * it, or is_over. */
int backup_lock_take(int root, const struct backup_lock_wait *wait, struct err *err);

bool backup_lock_is_held(int root);
