#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/digest.h"

/* A set of digests, in memory. All zero is an empty one. */
struct import_set {
    struct digest *v; /* a hash table: DIGEST_NONE is a free place */
    size_t n;
    size_t room;
};

void import_set_free(struct import_set *s);
bool import_set_has(const struct import_set *s, const struct digest *d);
/* *is_new (may be NULL): it wasn't in there. */
void import_set_add(struct import_set *s, const struct digest *d, bool *is_new);
