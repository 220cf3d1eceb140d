#pragma once

#include "storage/kv/kv_types.h"
#include "util/err.h"

/* kv_recover (kv_open.h). */
int bdb_recovery_run(const char *dir, const struct kv_table *tables, size_t n, struct err *err);

/* Removes the files of queues that a recovery has left behind, and fsyncs the directory. No process
 * may have the store open, and it has written a checkpoint. */
int bdb_recovery_tidy(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
