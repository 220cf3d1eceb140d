#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "util/arena.h"

/* The tags of a repository, as a list. They change in tag_move.h. */

struct tag_page {
    const char **names; /* in byte order, in the arena */
    size_t n;
    bool more; /* is there at least one behind the last? */
};

/* At most `limit` tags behind `after`. ERR_NO_REPOSITORY. */
int tag_list(const struct registry *reg, const char *repository, const char *after, size_t limit,
             struct arena *arena, struct tag_page *page, struct err *err);
