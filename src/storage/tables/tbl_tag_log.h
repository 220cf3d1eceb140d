#ifndef STORAGE_TABLES_TBL_TAG_LOG_H
#define STORAGE_TABLES_TBL_TAG_LOG_H

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* tag_log: repository id, tag, sequence -> struct rec_tag_log. The last so many moves of each tag.
 */
#define TAG_LOG_KEPT 100

/* Adds a move, and drops the one that is now too old. Call it with the tag's record locked. */
int tbl_tag_log_add(struct txn *t, uint64_t repo, const char *tag, const struct rec_tag_log *r,
                    struct err *err);

/* Visits the moves of a tag, oldest first. fn as kv_range_fn has it. */
int tbl_tag_log_each(struct txn *t, uint64_t repo, const char *tag,
                     int (*fn)(uint64_t seq, const struct rec_tag_log *r, void *arg,
                               struct err *err),
                     void *arg, struct err *err);

#endif
