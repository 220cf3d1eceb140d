#ifndef DOMAIN_CORE_UPLOAD_ROW_H
#define DOMAIN_CORE_UPLOAD_ROW_H

#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/err.h"

/* An upload's row, from its beginning to its end: there it counts among those of its owner. */

/* In the transaction that begins it. ERR_TOO_MANY: the owner, r->user, has as many as he may. */
int upload_row_add(struct txn *t, const struct registry *reg, const char *id,
                   const struct rec_upload *r, struct err *err);

/* In the transaction that ends it. 0 also when it was gone already. */
int upload_row_drop(struct txn *t, const char *id, struct err *err);

#endif
