#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* pull: repository id, tag or text of a digest -> struct rec_pull. The last pull by that name:
 * domain/retention/last_pull.h. No tag looks like a digest, since it has no colon. */
int tbl_pull_get(struct txn *t, uint64_t repo, const char *name, struct rec_pull *r,
                 struct err *err);
int tbl_pull_get_for_update(struct txn *t, uint64_t repo, const char *name, struct rec_pull *r,
                            struct err *err);
int tbl_pull_put(struct txn *t, uint64_t repo, const char *name, const struct rec_pull *r,
                 struct err *err);
int tbl_pull_drop(struct txn *t, uint64_t repo, const char *name, struct err *err);
