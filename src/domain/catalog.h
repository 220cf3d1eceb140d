#ifndef DOMAIN_CATALOG_H
#define DOMAIN_CATALOG_H

#include <stdbool.h>
#include "domain/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/err.h"

/* The names of repositories, in byte order; those without a manifest aren't listed, nor those that
 * the actor may not pull from. */

struct catalog_page {
    const char **names; /* in the arena */
    size_t n;
    bool more;
};

/* At most `limit` behind `after`. */
int catalog_list(const struct registry *reg, const struct actor *actor, const char *after,
                 size_t limit, struct arena *arena, struct catalog_page *page, struct err *err);

#endif
