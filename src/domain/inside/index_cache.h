#pragma once

#include <stddef.h>
#include "storage/layers/index_file.h"
#include "util/digest.h"
#include "util/err.h"

/* Indexes of layers that a worker has open, and keeps open for the next request: at most so many
 * beside those in use, each with a descriptor and up to 12 blocks of its file in memory. The index
 * of a digest never changes, so one that is open is good even when its file has been removed. */

#define INDEX_CACHE_KEEP 24

struct index_cache;

/* Aborts the program when memory is out: made once, at its start. */
struct index_cache *index_cache_new(size_t keep);
void index_cache_free(struct index_cache *c);

/* 1 and the index, in use until index_cache_leave; 0: there is none; -1. cache: NULL for none. */
int index_cache_take(struct index_cache *c, int root, const struct digest *layer,
                     struct layer_index **x, struct err *err);
void index_cache_leave(struct index_cache *c, struct layer_index *x);

/* That layer's is found damaged: the next one who takes it opens its file again. */
void index_cache_forget(struct index_cache *c, const struct digest *layer);
