#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* upload: id (32 hex digits) -> struct rec_upload. */
int tbl_upload_get(struct txn *t, const char *id, struct rec_upload *r, struct err *err);
int tbl_upload_get_for_update(struct txn *t, const char *id, struct rec_upload *r, struct err *err);
int tbl_upload_put(struct txn *t, const char *id, const struct rec_upload *r, struct err *err);
int tbl_upload_drop(struct txn *t, const char *id, struct err *err);

/* Visits all uploads. fn is like kv_range_fn. */
int tbl_upload_each(struct txn *t,
                    int (*fn)(const char *id, const struct rec_upload *r, void *arg,
                              struct err *err),
                    void *arg, struct err *err);
