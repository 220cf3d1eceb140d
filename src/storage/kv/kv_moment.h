#pragma once

#include "storage/kv/kv.h"

/* For copies of a remote store (kv_is_remote), which are made by reading it. Stores in a directory
 * are copied file by file (kv_backup.h). */

/* From now on kv_reads sees what was committed before this moment, however long it is read and
 * whatever others write; it is no moment in the middle of a transaction of another process.
 * Transactions fail meanwhile. If the connection is lost, all reads fail. 0 or -1. */
int kv_moment_begin(struct kv *kv, struct err *err);
void kv_moment_end(struct kv *kv);

/* From now on and until kv_close, kv_moment_files_are_held is true in all processes that have the
 * store open, on any machine: no file of a blob may be removed whose record was deleted. 0 or -1.
 * In a store that isn't remote nothing is done, because storage/files/backup_lock.h does the same.
 */
int kv_moment_hold_files(struct kv *kv, struct err *err);
/* 1, 0, -1. The process that holds them is told 0 after a lost connection, which ends it. */
int kv_moment_files_are_held(struct kv *kv, struct err *err);
