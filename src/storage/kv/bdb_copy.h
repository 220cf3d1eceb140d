#pragma once

#include <stdbool.h>
#include "storage/kv/kv_copy.h"

/* The copy's list of the tables that were made: db/tables, under another name, because the copy is
 * a store that is recovered by itself. */
#define BDB_COPY_TABLES "tables.copied"

/* kv_copy_size and kv_copy_files (kv_copy.h). */
int bdb_copy_size(const char *dir, uint64_t *bytes, struct err *err);
int bdb_copy_files(const char *from, const char *to, kv_copy_tick *tick, void *arg,
                   struct err *err);

/* Is it the name of a log, and of which number? */
bool bdb_copy_is_log(const char *name, uint32_t *number);
