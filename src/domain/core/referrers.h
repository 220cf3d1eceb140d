#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* The manifests that name a manifest as their `subject` (OCI distribution-spec 1.1, "Listing
 * Referrers"), and those that clients without that API list under the fallback tag
 * <algorithm>-<hex>: each once. */

struct referrer {
    struct digest digest;
    uint64_t size;
    char media_type[RECORD_TYPE_MAX + 1];
    char artifact_type[RECORD_TYPE_MAX + 1]; /* "" for none */
    struct json *annotations;                /* NULL for none; given to the caller */
};

/* Calls fn for at most `limit` referrers behind `after` (DIGEST_NONE: from the first), in the order
 * of digests, of that artifact type (NULL: of any). *more: is there another one? A subject or a
 * repository that isn't there has none. */
int referrers_each(const struct registry *reg, const char *repository, const struct digest *subject,
                   const char *artifact_type, const struct digest *after, size_t limit,
                   struct arena *arena, int (*fn)(struct referrer *r, void *arg, struct err *err),
                   void *arg, bool *more, struct err *err);
