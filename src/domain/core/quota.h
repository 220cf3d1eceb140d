#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access_pattern.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* The limits --quota on the bytes of all repositories that a pattern matches. A manifest counts
 * from its push to its deletion. A blob counts once in each repository: from its upload or mount,
 * until the last manifest of that repository that has it is deleted, or it is collected. If a
 * manifest then names it again, it counts again.
 *
 * An edge EDGE_COUNTED says that a quota counts a thing for a repository, and the quota's record
 * has the sum. Both are changed in the transaction that changes what they count, so they can't
 * drift. If two pushes want the last bytes, the second one waits for the first. If several quotas
 * match a repository, all of them must hold. A repository without one costs nothing: this process
 * knows the patterns. */

#define QUOTA_MAX 64

struct quota {
    struct digest key;
    char text[RECORD_REPOSITORY_MAX + 1];
    struct access_pattern pattern;
};

struct quotas {
    struct quota v[QUOTA_MAX];
    size_t n;
};

/* Parses "GLOB SIZE" as --quota has it. 0, or -1 and ERR_BAD_REQUEST. */
int quota_parse(const char *text, char pattern[RECORD_REPOSITORY_MAX + 1], uint64_t *limit,
                struct err *err);

/* Makes the store's quotas those of the options, n texts. For a new quota, everything that it
 * limits is counted, in small transactions, so no other process may use the store. An interrupted
 * count begins anew. */
int quota_begin(const struct registry *reg, char *const *texts, size_t n, struct err *err);

/* Reads the store's quotas. */
int quota_load(struct kv *kv, struct quotas *out, struct err *err);

/* The quotas of a repository, as bits. */
uint64_t quota_set_of(const struct registry *reg, const char *repository);

/* The same by its id, in a transaction. */
int quota_set_of_id(struct txn *t, const struct registry *reg, uint64_t repo, uint64_t *set,
                    struct err *err);

/* Checks that `bytes` more bytes exceed no quota of the repository, to refuse a push early. 0, or
 * -1 and ERR_FULL. */
int quota_check_room(const struct registry *reg, const char *repository, uint64_t bytes,
                     struct err *err);

/* The bytes that a transaction adds to each quota. All zero at first, except `set`. */
struct quota_change {
    uint64_t set;
    uint64_t add[QUOTA_MAX];
};

/* Announces what quota_count reads of a thing. set: quota_set_of. */
void quota_expect(struct txn *t, const struct registry *reg, uint64_t set, uint64_t repo,
                  const struct digest *d);

/* Counts a thing for the repository, unless it is counted; a transaction does this at table edge.
 */
int quota_count(struct txn *t, const struct registry *reg, struct quota_change *change,
                uint64_t repo, const struct digest *d, uint64_t size, struct err *err);
/* The same for a blob of the store. 0 also when it isn't there. */
int quota_count_blob(struct txn *t, const struct registry *reg, struct quota_change *change,
                     uint64_t repo, const struct digest *d, struct err *err);
/* Writes the sums, at table quota. ERR_FULL: one would pass its limit; with force none is checked.
 */
int quota_settle(struct txn *t, const struct registry *reg, const struct quota_change *change,
                 bool force, struct err *err);

/* The thing no longer counts for the repository (0: for any). At table edge. */
int quota_discount(struct txn *t, uint64_t repo, const struct digest *d, uint64_t size,
                   struct err *err);
/* The same for a blob, if no manifest of the repository has it any more. */
int quota_discount_blob(struct txn *t, uint64_t repo, const struct digest *d, struct err *err);

/* Calls fn for each quota that matches the repository (NULL: for all). */
int quota_each(const struct registry *reg, const char *repository,
               void (*fn)(const struct rec_quota *r, void *arg), void *arg, struct err *err);
