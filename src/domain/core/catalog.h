#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/err.h"

/* The names of repositories, in byte order: of those that have a manifest, and from which the actor
 * may pull. */

struct catalog_page {
    const char **names; /* in the arena */
    size_t n;
    bool more;
};

/* The repositories whose names contain a text, in upper or lower case. */
struct catalog_found {
    const char **names; /* in the arena */
    size_t n;
    uint64_t total; /* of all pages */
};

/* A search reads the records of so many repositories with a fitting name to find out whether they
 * are listed, which takes ten times as long as reading the names. catalog_found.total counts those
 * beyond it without that question. A page never has one that isn't listed. */
#define CATALOG_EXACT_MAX 10000

/* At most `limit` repositories, behind the first `skip`. Reads the names of all repositories. */
int catalog_search(const struct registry *reg, const struct actor *actor, const char *text,
                   uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
                   struct err *err);

/* At most `limit` repositories behind `after`. */
int catalog_list(const struct registry *reg, const struct actor *actor, const char *after,
                 size_t limit, struct arena *arena, struct catalog_page *page, struct err *err);
