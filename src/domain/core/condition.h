#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/digest.h"
#include "util/err.h"

/* What a client demands of a manifest or tag before it is changed (RFC 9110 13.1.1, 13.1.2). The
 * entity tag of both is the digest of the manifest. */
struct condition_tags {
    bool given;
    bool any; /* "*": whatever is there */
    const struct digest *v;
    size_t n;
};

struct condition {
    struct condition_tags match;      /* If-Match: one of these is there */
    struct condition_tags none_match; /* If-None-Match: none of these is there */
};

/* now: the digest of what is there, or DIGEST_NONE. -1: ERR_CONDITION. c: NULL demands nothing. */
int condition_check(const struct condition *c, const struct digest *now, struct err *err);
