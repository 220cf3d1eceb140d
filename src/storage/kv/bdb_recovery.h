#pragma once

#include "storage/kv/kv_types.h"
#include "util/err.h"

/* kv_recover (kv_open.h). */
int bdb_recovery_run(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
