#pragma once

#include "domain/check/check_entry.h"

/* What quotas count: each manifest with its parts has its marks (EDGE_COUNTED), each mark has what
 * it counts, and the sum of a quota is that of its marks. */
int check_quota_counts(struct check *c, struct txn *t, const struct check_entry *e,
                       struct err *err);
int check_quota_count(struct check *c, struct txn *t, const struct check_entry *e, struct err *err);

int check_quota_has_counted(struct check *c, struct txn *t, const struct check_entry *e,
                            struct err *err);

/* The sum can't be read in one moment. It is wrong if it wasn't changed while the marks were read,
 * twice. */
int check_quota_is_right(struct check *c, struct txn *t, const struct check_entry *e,
                         struct err *err);
int check_quota_correct(struct check *c, struct txn *t, const struct check_entry *e,
                        struct err *err);
