#pragma once

#include "storage/kv/kv_backup.h"

/* kv_backup_cut_logs */
int bdb_log_cut_run(const char *dir, const char *store, struct kv_log_state *out, struct err *err);
