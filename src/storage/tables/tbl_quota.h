#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* quota: a random digest -> struct rec_quota. */
int tbl_quota_get(struct txn *t, const struct digest *key, struct rec_quota *r, struct err *err);
/* The same. No other transaction changes it until this one ends. */
int tbl_quota_get_for_update(struct txn *t, const struct digest *key, struct rec_quota *r,
                             struct err *err);
int tbl_quota_put(struct txn *t, const struct digest *key, const struct rec_quota *r,
                  struct err *err);
int tbl_quota_drop(struct txn *t, const struct digest *key, struct err *err);

/* Visits all of them. fn is like kv_range_fn. */
int tbl_quota_each(struct txn *t,
                   int (*fn)(const struct digest *key, const struct rec_quota *r, void *arg,
                             struct err *err),
                   void *arg, struct err *err);
