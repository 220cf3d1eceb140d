#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "util/arena.h"

/* Lists the tags of a repository. (tag_move.h changes them.) */

struct tag_page {
    const char **names; /* in byte order, in the arena */
    size_t n;
    bool more; /* there is at least one after the last */
};

/* Lists at most `limit` tags that are greater than `after`. ERR_NO_REPOSITORY. */
int tag_list(const struct registry *reg, const char *repository, const char *after, size_t limit,
             struct arena *arena, struct tag_page *page, struct err *err);
