#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* image: v1 image id (a digest of kind DIGEST_V1_ID) -> struct rec_image. Its JSON is in the table
 * content, under the same id. */
int tbl_image_get(struct txn *t, const struct digest *id, struct rec_image *r, struct err *err);
int tbl_image_get_for_update(struct txn *t, const struct digest *id, struct rec_image *r,
                             struct err *err);
int tbl_image_put(struct txn *t, const struct digest *id, const struct rec_image *r,
                  struct err *err);
int tbl_image_drop(struct txn *t, const struct digest *id, struct err *err);

/* Visits the images from that id on, in the order of ids. fn is like kv_range_fn. */
int tbl_image_each(struct txn *t, const struct digest *from,
                   int (*fn)(const struct digest *id, const struct rec_image *r, void *arg,
                             struct err *err),
                   void *arg, struct err *err);
