#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* The row of an open upload. The row is written before the file of the upload, and deleted before
 * the file is removed: a file without a row belongs to nobody, and upload_expiry removes it. As
 * long as the row exists, the upload counts towards its owner's limit. */

/* In the transaction that begins the upload. ERR_TOO_MANY: the owner, r->user, has reached
 * --max-uploads. */
int upload_row_add(struct txn *t, const struct registry *reg, const char *id,
                   const struct rec_upload *r, struct err *err);

/* In the transaction that ends the upload. 0 also when there is no row. */
int upload_row_drop(struct txn *t, const char *id, struct err *err);

/* Ends the upload: deletes its row, and removes its file. 0 also when there are none. */
int upload_row_end(const struct registry *reg, const char *id, struct err *err);

/* Can this be the id of an upload? */
bool upload_row_is_id(const char *id);
