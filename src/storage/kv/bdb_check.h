#pragma once

#include "storage/kv/kv_check.h"

/* kv_check_copy (kv_check.h). */
int bdb_check_copy(const char *dir, bool is_hot, const struct kv_table *tables, size_t n,
                   kv_check_fault *fault, kv_copy_tick *tick, void *arg, struct err *err);
