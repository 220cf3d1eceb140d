#pragma once

#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* The row of an open upload. While it is there, the upload counts among those of its owner. */

/* In the transaction that begins the upload. ERR_TOO_MANY: the owner, r->user, has reached the
 * limit. */
int upload_row_add(struct txn *t, const struct registry *reg, const char *id,
                   const struct rec_upload *r, struct err *err);

/* In the transaction that ends it. 0 also when the row is gone already. */
int upload_row_drop(struct txn *t, const char *id, struct err *err);
