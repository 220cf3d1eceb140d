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

/* A page ends behind the referrer with which its documents have this many bytes, or behind this
 * many manifests, those of another artifact type included. */
#define REFERRERS_BYTES_MAX (4u << 20)
#define REFERRERS_SEEN_MAX 10000

struct referrers_page {
    struct digest after; /* of the last page; DIGEST_NONE: from the first */
    size_t limit;
    const char *artifact_type; /* NULL: any */

    bool more;          /* set: there may be more, */
    struct digest last; /* behind this one */
};

/* Calls fn for the referrers of a page, in the order of digests. A subject or a repository that
 * isn't there has none. Annotations that can't be read, or are no map of strings, are left out. */
int referrers_each(const struct registry *reg, const char *repository, const struct digest *subject,
                   struct referrers_page *page, struct arena *arena,
                   int (*fn)(struct referrer *r, void *arg, struct err *err), void *arg,
                   struct err *err);
