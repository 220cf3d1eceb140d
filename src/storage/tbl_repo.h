#ifndef STORAGE_TBL_REPO_H
#define STORAGE_TBL_REPO_H

#include "storage/kv.h"
#include "storage/record.h"

/* repo: name -> struct rec_repo. */
int tbl_repo_get(struct txn *t, const char *name, struct rec_repo *r, struct err *err);
int tbl_repo_get_for_update(struct txn *t, const char *name, struct rec_repo *r, struct err *err);
int tbl_repo_put(struct txn *t, const char *name, const struct rec_repo *r, struct err *err);

#endif
