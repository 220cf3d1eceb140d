#pragma once

#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* The row of an open upload. As long as it exists, the upload counts towards its owner's limit. */

/* In the transaction that begins the upload. ERR_TOO_MANY: the owner, r->user, has reached
 * --max-uploads. */
int upload_row_add(struct txn *t, const struct registry *reg, const char *id,
                   const struct rec_upload *r, struct err *err);

/* In the transaction that ends the upload. 0 also when there is no row. */
int upload_row_drop(struct txn *t, const char *id, struct err *err);
