#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* tag: repository id, tag -> struct rec_tag. */
int tbl_tag_get(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r, struct err *err);
int tbl_tag_get_for_update(struct txn *t, uint64_t repo, const char *tag, struct rec_tag *r,
                           struct err *err);
void tbl_tag_expect(struct txn *t, uint64_t repo, const char *tag);
void tbl_tag_expect_for_update(struct txn *t, uint64_t repo, const char *tag);
int tbl_tag_put(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag *r,
                struct err *err);
int tbl_tag_drop(struct txn *t, uint64_t repo, const char *tag, struct err *err);

/* Has the repository any? 1, 0, -1. */
int tbl_tag_any(struct txn *t, uint64_t repo, struct err *err);

/* Visits the tags of a repository that are greater than `after` (of any length; "": all), in byte
 * order. Reads only what it visits. fn is like kv_range_fn. */
int tbl_tag_each(struct txn *t, uint64_t repo, const char *after,
                 int (*fn)(const char *tag, const struct rec_tag *r, void *arg, struct err *err),
                 void *arg, struct err *err);
void tbl_tag_expect_each(struct txn *t, uint64_t repo, const char *after);
