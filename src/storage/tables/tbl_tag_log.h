#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* tag_log: repository id, tag, sequence -> struct rec_tag_log. */
#define TAG_LOG_KEPT 100 /* moves of each tag; older ones are deleted */

/* Adds a move, and deletes the one that is now too old: *old, whose time is 0 if there was none.
 * The tag's record must be locked. */
int tbl_tag_log_add(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag_log *r,
                    struct rec_tag_log *old, struct err *err);
void tbl_tag_log_expect_add(struct txn *t, uint64_t repo, const char *tag);

/* Deletes up to `max` moves of tags of that repository. 1: there may be more; 0; -1. */
int tbl_tag_log_drop(struct txn *t, uint64_t repo, size_t max, struct err *err);

/* A place in the order of the keys. */
struct tag_log_place {
    uint64_t repo;
    char tag[RECORD_TAG_MAX + 1];
    uint64_t seq;
};

/* Visits all moves behind that place: repository by repository, tag by tag, oldest first. fn is
 * like kv_range_fn. */
int tbl_tag_log_scan(struct txn *t, const struct tag_log_place *after,
                     int (*fn)(const struct tag_log_place *at, const struct rec_tag_log *r,
                               void *arg, struct err *err),
                     void *arg, struct err *err);
int tbl_tag_log_drop_at(struct txn *t, const struct tag_log_place *at, struct err *err);
/* Has the repository any? 1, 0, -1. */
int tbl_tag_log_any(struct txn *t, uint64_t repo, struct err *err);

/* Visits the moves of a tag, oldest first. fn is like kv_range_fn. */
int tbl_tag_log_each(struct txn *t, uint64_t repo, const char *tag,
                     int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg,
                               struct err *err),
                     void *arg, struct err *err);
