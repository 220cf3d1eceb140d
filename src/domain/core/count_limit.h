#ifndef DOMAIN_CORE_COUNT_LIMIT_H
#define DOMAIN_CORE_COUNT_LIMIT_H

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/err.h"

/* How many there may be of what requests make: --max-repositories, --max-tags, --max-uploads, 0 for
 * any number. Decided in the transaction that makes it, by a tally that the same transaction keeps:
 * of two that want the last place, the second waits for the first, and is refused.
 *
 * The first three are called for one that surely isn't there, since its record was read for update:
 * for a repository or a tag before it is put. The others are called for one that goes. */

/* ERR_FULL: something has to be deleted first. */
int count_limit_add_repository(struct txn *t, const struct registry *reg, struct err *err);
int count_limit_add_tag(struct txn *t, const struct registry *reg, uint64_t repo, struct err *err);
/* ERR_TOO_MANY: some have to end first. owner: a user, or an address. */
int count_limit_add_upload(struct txn *t, const struct registry *reg, const char *owner,
                           struct err *err);

int count_limit_drop_tag(struct txn *t, uint64_t repo, struct err *err);
int count_limit_drop_upload(struct txn *t, const char *owner, struct err *err);

#endif
