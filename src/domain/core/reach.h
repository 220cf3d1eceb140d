#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/gone_set.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* A collection of manifests without tags leaves a manifest that one of these reaches:
 *
 *     a tag that names it
 *     a tag whose name is made of its digest: sha256-<hex>, sha256-<hex>.sig and the like. Programs
 *         that know no referrers attach signatures in this way. A signed image is verified by its
 *         digest, so it stays as long as this tag
 *     an index of the repository that has it as a part
 *     its subject, if the repository has that, or had it and can have it again (trash.h). The other
 *         direction doesn't count: referrers don't keep their subject
 *     the history of a tag (history.h), until the job that ends it
 *
 * All of these are of the same repository. */

enum reach_kind {
    REACH_NONE,
    REACH_TAG,
    REACH_TAG_NAME,
    REACH_INDEX,
    REACH_SUBJECT,
    REACH_HISTORY,
};

struct reach {
    enum reach_kind kind;
    char tag[RECORD_TAG_MAX + 1]; /* REACH_TAG, REACH_TAG_NAME, REACH_HISTORY */
    struct digest by;             /* REACH_INDEX, REACH_SUBJECT */
    uint64_t until;               /* REACH_HISTORY: the end of the last of several */
};

/* subject: of the manifest, or DIGEST_NONE. gone: manifests, by repository, that count as deleted;
 * NULL: none. 1: something reaches it, and *out names it, REACH_HISTORY only if nothing else does;
 * 0: nothing; -1. */
int reach_find(struct txn *t, uint64_t repo, const struct digest *d, const struct digest *subject,
               const struct gone_set *gone, struct reach *out, struct err *err);

/* The time of the job that ends a history which keeps a manifest until `until`. */
uint64_t reach_end_of_history(const struct registry *reg, uint64_t until);
