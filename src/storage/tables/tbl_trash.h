#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* trash: repository id, digest -> struct rec_trash: a deleted manifest that can come back. */
int tbl_trash_get(struct txn *t, uint64_t repo, const struct digest *d, struct rec_trash *r,
                  struct err *err);
int tbl_trash_get_for_update(struct txn *t, uint64_t repo, const struct digest *d,
                             struct rec_trash *r, struct err *err);
int tbl_trash_put(struct txn *t, uint64_t repo, const struct digest *d, const struct rec_trash *r,
                  struct err *err);
int tbl_trash_drop(struct txn *t, uint64_t repo, const struct digest *d, struct err *err);

/* Visits those of a repository behind `after` (DIGEST_NONE: all). fn is like kv_range_fn. */
int tbl_trash_each(struct txn *t, uint64_t repo, const struct digest *after,
                   int (*fn)(const struct digest *d, const struct rec_trash *r, void *arg,
                             struct err *err),
                   void *arg, struct err *err);

/* Visits those of all repositories, behind this one. fn is like kv_range_fn. */
int tbl_trash_scan(struct txn *t, uint64_t repo, const struct digest *after,
                   int (*fn)(uint64_t repo, const struct digest *d, const struct rec_trash *r,
                             void *arg, struct err *err),
                   void *arg, struct err *err);

/* The first one of the repository: 1, 0, -1. */
int tbl_trash_first(struct txn *t, uint64_t repo, struct digest *d, struct err *err);
