#pragma once

#include "storage/kv/kv_filling.h"

/* The functions of kv_backup.h. */
int bdb_backup_copy(struct kv *kv, const char *to, uint64_t *moment_ms, bool (*is_over)(void *arg),
                    void *arg, struct err *err);
int bdb_backup_mend(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
int bdb_backup_verify(const char *dir, const struct kv_table *tables, size_t n, struct err *err);
struct kv *bdb_backup_make(const char *dir, const struct kv_table *tables, size_t n,
                           struct err *err);
int bdb_backup_made(struct kv *kv, struct err *err);
