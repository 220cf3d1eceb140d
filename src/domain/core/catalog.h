#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "util/arena.h"
#include "util/err.h"

/* Lists the names of repositories, in byte order. A repository is listed if it has a manifest, and
 * if the actor may pull from it. */

struct catalog_page {
    const char **names; /* in the arena */
    struct catalog_facts {
        uint64_t id;
        uint64_t updated; /* when something was put into it, to the minute */
    } * facts;            /* of each name, in the arena */
    size_t n;
    bool more;
    /* With more: the next page begins behind this name. NULL: behind the last name of this page.
     * The name must not be shown to the actor, who may not see that repository. In the arena. */
    const char *hidden;
};

/* Names that a page passes over because the actor may not see them, before it ends early. */
#define CATALOG_HIDDEN_MAX 5000

/* Conditions for the repositories of a page. A member that is NULL is no condition. */
struct catalog_filter {
    const char *prefix; /* their names begin with it */
    const char *text;   /* their names contain it; case is ignored */
};

/* Names that a page passes over because they don't fit, before it ends early. */
#define CATALOG_UNFIT_MAX 100000

/* The repositories whose names contain a text; case is ignored. */
struct catalog_found {
    const char **names; /* in the arena */
    size_t n;
    uint64_t total; /* of all pages */
};

/* A search reads the records of at most this many repositories with a matching name, to see whether
 * they are listed, since this takes ten times as long as reading names. catalog_found.total counts
 * all matching names beyond. A page contains listed repositories only. */
#define CATALOG_EXACT_MAX 10000

/* Finds at most `limit` repositories, without the first `skip`. Reads the names of all
 * repositories. */
int catalog_search(const struct registry *reg, const struct actor *actor, const char *text,
                   uint64_t skip, size_t limit, struct arena *arena, struct catalog_found *found,
                   struct err *err);

/* Lists at most `limit` repositories whose names are greater than `after`. A page with fewer names
 * may be followed by others (more). */
int catalog_list(const struct registry *reg, const struct actor *actor,
                 const struct catalog_filter *filter, const char *after, size_t limit,
                 struct arena *arena, struct catalog_page *page, struct err *err);

/* The tags of a repository. */
int catalog_count_tags(const struct registry *reg, uint64_t id, uint64_t *n, struct err *err);
