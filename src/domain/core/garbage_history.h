#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/gone_set.h"
#include "domain/registry.h"
#include "util/digest.h"
#include "util/err.h"

/* Deleted manifests that can come back (trash.h), and the blobs that nothing else keeps: they wait
 * for the end of the history of a tag. Nothing is deleted here. */

struct garbage_history_item {
    const char *repository;
    const struct digest *digest;
    uint64_t size;
    uint64_t until; /* when the keeper removes it */
};

/* Calls fn for each of the manifests until it returns true. *n: how many there are. */
int garbage_history_each(const struct registry *reg,
                         bool (*fn)(const struct garbage_history_item *item, void *arg), void *arg,
                         uint64_t *n, struct err *err);

/* Is this blob kept only by such manifests and by manifests that count as gone? *until: it is kept
 * at least until then. 1, 0, -1. */
int garbage_history_keeps(const struct registry *reg, const struct gone_set *gone,
                          const struct digest *d, uint64_t *until, struct err *err);
