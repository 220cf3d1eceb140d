#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/err.h"

/* The limits --max-repositories, --max-tags and --max-uploads (0: no limit). The transaction that
 * creates a repository, a tag or an upload also counts it in a tally, and fails if the limit is
 * reached. If two transactions compete for the last place, the second one waits for the first, and
 * then fails.
 *
 * Call an add function after the record was read for update and did not exist. Call a drop function
 * in the transaction that deletes the record. */

/* ERR_FULL: the limit is reached until one is deleted. */
int count_limit_add_repository(struct txn *t, const struct registry *reg, struct err *err);
int count_limit_add_tag(struct txn *t, const struct registry *reg, uint64_t repo, struct err *err);
/* Is there room for another repository? 0, or -1 and ERR_FULL. Refuses a request before its body is
 * read. */
int count_limit_check_repository(const struct registry *reg, struct err *err);
/* owner: a user, or an address. ERR_TOO_MANY: the limit is reached until an upload ends. */
int count_limit_add_upload(struct txn *t, const struct registry *reg, const char *owner,
                           struct err *err);

int count_limit_drop_repository(struct txn *t, struct err *err);
int count_limit_drop_tag(struct txn *t, uint64_t repo, struct err *err);
int count_limit_drop_upload(struct txn *t, const char *owner, struct err *err);
