#pragma once

#include <stddef.h>
#include "storage/kv/kv_copy.h"

/* Looks whether the files of a store are whole. This is done in a copy, because the files of a
 * store that is in use, or that wasn't closed, are whole only after a recovery. */

/* Called for each fault. file: its name in the directory of the store. */
typedef void kv_check_fault(void *arg, const char *file, const char *why);

/* Checks the copy in dir: all logs are there that a recovery needs, each log record and each page
 * has its checksum, and each table is well-formed. Then the copy is recovered, and can be opened.
 * is_hot: it was made while the store was in use, or may have been.
 * 1: it is whole; 2: pages of some tables are damaged or lost, for each of which fault was called,
 * and the rest can be read; 0: it is damaged, and the copy can't be used; -1: failed, because of
 * the machine. */
int kv_check_copy(const char *dir, bool is_hot, const struct kv_table *tables, size_t n,
                  kv_check_fault *fault, kv_copy_tick *tick, void *arg, struct err *err);
