#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* repo: name -> struct rec_repo. */
int tbl_repo_get(struct txn *t, const char *name, struct rec_repo *r, struct err *err);
int tbl_repo_get_for_update(struct txn *t, const char *name, struct rec_repo *r, struct err *err);
void tbl_repo_expect(struct txn *t, const char *name);
void tbl_repo_expect_for_update(struct txn *t, const char *name);
int tbl_repo_put(struct txn *t, const char *name, const struct rec_repo *r, struct err *err);
int tbl_repo_drop(struct txn *t, const char *name, struct err *err);

/* Visits the repositories whose names are greater than `after` ("": all), in byte order. fn is like
 * kv_range_fn. */
int tbl_repo_each(struct txn *t, const char *after,
                  int (*fn)(const char *name, const struct rec_repo *r, void *arg, struct err *err),
                  void *arg, struct err *err);
