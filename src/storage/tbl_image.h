#ifndef STORAGE_TBL_IMAGE_H
#define STORAGE_TBL_IMAGE_H

#include "storage/kv.h"
#include "storage/record.h"

/* image: v1 image id (a digest of kind DIGEST_V1_ID) -> struct rec_image. */

/* The longest image JSON. */
#define IMAGE_JSON_MAX (1024u * 1024)

/* Initialises val, which holds the bytes into which r->json points; the caller frees it. */
int tbl_image_get(struct txn *t, const struct digest *id, struct buf *val, struct rec_image *r,
                  struct err *err);
int tbl_image_put(struct txn *t, const struct digest *id, const struct rec_image *r,
                  struct err *err);

#endif
