#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/arena.h"
#include "util/digest.h"
#include "util/err.h"
#include "util/json.h"

/* Lists the manifests whose `subject` is a given manifest (OCI distribution-spec 1.1, "Listing
 * Referrers"), and the entries of the fallback tag <algorithm>-<hex>, which older clients keep.
 * Each referrer is listed once. */

struct referrer {
    struct digest digest;
    uint64_t size;
    char media_type[RECORD_TYPE_MAX + 1];
    char artifact_type[RECORD_TYPE_MAX + 1]; /* "" for none */
    struct json *annotations;                /* NULL: none, or left out; fn takes it over */
};

/* Some clients read only the first page, and some refuse a page of more than 4 MiB. So a large
 * referrer takes no more of a page than this: without its annotations if these have more bytes of
 * JSON. */
#define REFERRER_ANNOTATIONS_MAX (128u << 10)

/* The bytes of large documents (those of more than CONTENT_MAX) that are read for a page. The
 * annotations of further ones are left out, and the page goes on. */
#define REFERRERS_READ_MAX (16u << 20)

/* A page ends before its entries have more bytes than this, or after this many manifests, including
 * those of another artifact type. */
#define REFERRERS_BYTES_MAX (4u << 20)
#define REFERRERS_SEEN_MAX 10000

struct referrers_page {
    struct digest after; /* `last` of the previous page; DIGEST_NONE: the first page */
    size_t limit;
    const char *artifact_type; /* NULL: any */

    bool more;          /* set by referrers_each: there may be more, */
    struct digest last; /* after this one */
};

/* Calls fn for the referrers of a page, in the order of digests. A missing subject or repository
 * has no referrers. Annotations that can't be read, or aren't a map of strings, are left out, too.
 */
int referrers_each(const struct registry *reg, const char *repository, const struct digest *subject,
                   struct referrers_page *page, struct arena *arena,
                   int (*fn)(struct referrer *r, void *arg, struct err *err), void *arg,
                   struct err *err);
