#pragma once

#include "storage/kv/kv.h"

/* Called for one entry. Returns 0 to continue, 1 to stop, or -1. Key and value are valid during the
 * call. The entry's page is locked meanwhile, so the function must not use the store or wait. */
typedef int kv_range_fn(struct bytes key, struct bytes val, void *arg, struct err *err);

/* Visits the entries of the range, in order. 0: at the end, or fn has stopped; -1. */
int kv_range_each(struct txn *t, unsigned table, const struct kv_range *range, kv_range_fn *fn,
                  void *arg, struct err *err);

/* Is there any entry whose key starts with prefix? 1, 0, -1. */
int kv_range_any(struct txn *t, unsigned table, struct bytes prefix, struct err *err);
