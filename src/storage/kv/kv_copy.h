#pragma once

#include <stdint.h>
#include "storage/kv/kv_types.h"
#include "util/err.h"

/* Copies of a store. */

/* Called while files are copied and read. 0 goes on; -1 ends the work with that error. */
typedef int kv_copy_tick(void *arg, uint64_t bytes, struct err *err);

/* Bytes of the files that a copy has. 0 or -1. */
int kv_copy_size(const char *dir, uint64_t *bytes, struct err *err);

/* Copies the files of a store that no process has open into the directory `to`, which is empty.
 * Writes nothing below `from`. */
int kv_copy_files(const char *from, const char *to, kv_copy_tick *tick, void *arg, struct err *err);
