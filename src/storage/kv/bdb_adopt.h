#pragma once

#include "storage/kv/kv_types.h"
#include "util/err.h"

/* kv_backup_take_tables */
int bdb_adopt_run(const char *store, const char *to, const struct kv_table *tables, size_t n,
                  struct err *err);

/* kv_backup_note_stop */
int bdb_adopt_note_stop(const char *store, struct err *err);
