#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* repo_name: id of a repository -> its name. */
int tbl_repo_name_get(struct txn *t, uint64_t id, struct rec_repo_name *r, struct err *err);
int tbl_repo_name_put(struct txn *t, uint64_t id, const char *name, struct err *err);
int tbl_repo_name_drop(struct txn *t, uint64_t id, struct err *err);
