#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/err.h"

/* The limits --max-repositories, --max-tags and --max-uploads; 0 is none. The transaction that
 * makes a repository, a tag or an upload also counts it in a tally, and refuses it when the tally
 * is at the limit. Of two transactions that want the last place the second waits for the first, and
 * is refused.
 *
 * The add functions are called after the record was read for update, and was not there; the drop
 * functions in the transaction that deletes it. */

/* ERR_FULL: one has to be deleted first. */
int count_limit_add_repository(struct txn *t, const struct registry *reg, struct err *err);
int count_limit_add_tag(struct txn *t, const struct registry *reg, uint64_t repo, struct err *err);
/* Would another repository be one too many? 0, or -1 and ERR_FULL. For a request that is to be
 * refused before its bytes come. */
int count_limit_check_repository(const struct registry *reg, struct err *err);
/* ERR_TOO_MANY: one has to end first. owner: a user, or an address. */
int count_limit_add_upload(struct txn *t, const struct registry *reg, const char *owner,
                           struct err *err);

int count_limit_drop_repository(struct txn *t, struct err *err);
int count_limit_drop_tag(struct txn *t, uint64_t repo, struct err *err);
int count_limit_drop_upload(struct txn *t, const char *owner, struct err *err);
