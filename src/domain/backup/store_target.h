#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/kv/kv.h"
#include "util/err.h"

/* A store that becomes a copy of another one (store_merge.h). Until it is complete it has
 * the number META_COPYING, with which no server starts (domain/core/store.c). */

/* Makes the tables if they are missing, and marks the store. number: what it becomes a copy of, not
 * 0; a later call with the same number goes on. Refuses a store that has a registry, or the
 * unfinished copy of something else. is_old: what it has is known to be out of date, and it is
 * taken if it is of the registry with this number. kv_close closes it. NULL on failure. */
struct kv *store_target_open(const char *address, uint64_t number, bool is_old, struct err *err);

/* 1, 0, -1. */
int store_target_is_marked(struct kv *kv, struct err *err);
/* A registry has moved away from this store, which becomes an old copy of it. 0 or -1. */
int store_target_mark(struct kv *kv, uint64_t number, struct err *err);

/* The copy is complete: takes the mark away. 0 or -1. */
int store_target_finish(struct kv *kv, struct err *err);
