#pragma once

#include <stddef.h>
#include "storage/layers/index_store.h"
#include "util/digest.h"
#include "util/err.h"

/* The indexes that a worker keeps open for later requests. It keeps a limited number of unused
 * ones; each has a descriptor and up to 12 blocks of its file in memory. The index of a digest
 * never changes, so an open index is valid even if its file was removed. */

#define INDEX_CACHE_KEEP 24

struct index_cache;

/* Made once, at the start of a worker. */
struct index_cache *index_cache_new(size_t keep);
void index_cache_free(struct index_cache *c);

/* 1 and the index, which is in use until index_cache_leave; 0: there is none; -1. cache may be
 * NULL: then nothing is kept. */
int index_cache_take(struct index_cache *c, struct index_store s, const struct digest *layer,
                     struct layer_index **x, struct err *err);
void index_cache_leave(struct index_cache *c, struct layer_index *x);

/* Forgets the damaged index of that layer. The next index_cache_take opens its file again. */
void index_cache_forget(struct index_cache *c, const struct digest *layer);
