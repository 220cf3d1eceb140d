#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/digest.h"

/* A set of digests in memory. An empty set is all zero. */
struct import_set {
    struct digest *v; /* a hash table: DIGEST_NONE is a free place */
    size_t n;
    size_t room;
};

void import_set_free(struct import_set *s);
bool import_set_has(const struct import_set *s, const struct digest *d);
/* *is_new (may be NULL): true if the digest was not in the set. */
void import_set_add(struct import_set *s, const struct digest *d, bool *is_new);
