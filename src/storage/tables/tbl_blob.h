#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* blob: digest -> struct rec_blob. */
int tbl_blob_get(struct txn *t, const struct digest *d, struct rec_blob *r, struct err *err);
int tbl_blob_get_for_update(struct txn *t, const struct digest *d, struct rec_blob *r,
                            struct err *err);
void tbl_blob_expect(struct txn *t, const struct digest *d);
void tbl_blob_expect_for_update(struct txn *t, const struct digest *d);
int tbl_blob_put(struct txn *t, const struct digest *d, const struct rec_blob *r, struct err *err);
int tbl_blob_drop(struct txn *t, const struct digest *d, struct err *err);

/* Visits the blobs behind `after` (DIGEST_NONE: all), in the order of digests. fn is like
 * kv_range_fn. */
int tbl_blob_each(struct txn *t, const struct digest *after,
                  int (*fn)(const struct digest *d, const struct rec_blob *r, void *arg,
                            struct err *err),
                  void *arg, struct err *err);
