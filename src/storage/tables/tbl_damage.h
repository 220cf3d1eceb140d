#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* damage: digest of a blob -> struct rec_damage. */
int tbl_damage_get(struct txn *t, const struct digest *d, struct rec_damage *r, struct err *err);
int tbl_damage_put(struct txn *t, const struct digest *d, const struct rec_damage *r,
                   struct err *err);
int tbl_damage_drop(struct txn *t, const struct digest *d, struct err *err);

/* Visits the records of digests that are greater than `after` (NULL: all). fn is like kv_range_fn.
 */
int tbl_damage_each(struct txn *t, const struct digest *after,
                    int (*fn)(const struct digest *d, const struct rec_damage *r, void *arg,
                              struct err *err),
                    void *arg, struct err *err);
