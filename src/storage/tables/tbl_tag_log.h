#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* tag_log: repository id, tag, sequence -> struct rec_tag_log. */
#define TAG_LOG_KEPT 100 /* moves of each tag; older ones are deleted */

/* Adds a move, and deletes the one that is now too old. The tag's record must be locked. */
int tbl_tag_log_add(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag_log *r,
                    struct err *err);

/* Deletes up to `max` moves of tags of that repository. 1: there may be more; 0; -1. */
int tbl_tag_log_drop(struct txn *t, uint64_t repo, size_t max, struct err *err);

/* Visits the moves of a tag, oldest first. fn is like kv_range_fn. */
int tbl_tag_log_each(struct txn *t, uint64_t repo, const char *tag,
                     int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg,
                               struct err *err),
                     void *arg, struct err *err);
