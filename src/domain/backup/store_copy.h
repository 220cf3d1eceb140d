#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/registry.h"
#include "util/err.h"

/* The bytes that a copy of the database in that directory needs at most. 0 or -1. */
int store_copy_measure(int root, const char *store, uint64_t *bytes, struct err *err);

/* Makes a directory below snapshots/ with a consistent, verified copy of the database; what had
 * this name before is removed. The copy is one of Berkeley DB, whatever the database is. The caller
 * holds the backup lock. After a failure the directory is
 * gone. ERR_NO_SPACE: the copy would use the margin of the disk. */
int store_copy_make(const struct registry *reg, const char *dir, uint64_t *moment_ms,
                    bool (*is_over)(void *arg), void *arg, struct err *err);
