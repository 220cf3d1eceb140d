#pragma once

#include "domain/check/check_entry.h"

/* The rules of quotas. Each quota of a repository has a mark (EDGE_COUNTED) for each manifest, and
 * for its config and layers. The manifest or blob of each mark exists. The sum of a quota is the
 * sum of the sizes that its marks count. */
int check_quota_counts(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_quota_count(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);

int check_quota_has_counted(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err);

/* The marks can't be summed up in one moment. So a quota is wrong only if its sum differs from
 * theirs, and didn't change while they were read, twice. */
int check_quota_is_right(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_quota_correct(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
