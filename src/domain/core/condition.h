#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/digest.h"
#include "util/err.h"

/* Preconditions of a request that changes a manifest or a tag (RFC 9110 13.1.1, 13.1.2). The entity
 * tag of either is the digest of the manifest. */
struct condition_tags {
    bool given;
    bool any; /* "*": any manifest */
    const struct digest *v;
    size_t n;
};

struct condition {
    struct condition_tags match;      /* If-Match: one of these must exist */
    struct condition_tags none_match; /* If-None-Match: none of these may exist */
};

/* now: the present digest, or DIGEST_NONE. c: NULL: no condition. 0, or -1 and ERR_CONDITION. */
int condition_check(const struct condition *c, const struct digest *now, struct err *err);
