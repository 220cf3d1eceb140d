#pragma once

#include <stdbool.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
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

/* Tags that name the same. */
#define TAG_SIBLINGS_MAX 20
struct tag_siblings {
    char v[TAG_SIBLINGS_MAX][RECORD_TAG_MAX + 1];
    size_t n;
    bool more;
};

/* Finds the other tags of the repository (its id) that name what the tag names. */
int tag_find_siblings(const struct registry *reg, uint64_t repo, const char *tag,
                      const struct digest *target, struct tag_siblings *out, struct err *err);

/* A page of tags with what they name. */
#define TAG_BATCH 100
struct tag_batch {
    struct {
        char name[RECORD_TAG_MAX + 1];
        struct rec_tag r;
    } v[TAG_BATCH];
    size_t n; /* fewer than TAG_BATCH: it is the last page */
};

/* Reads the tags of the repository (its id) that are greater than `after`. */
int tag_batch_read(const struct registry *reg, uint64_t repo, const char *after,
                   struct tag_batch *b, struct err *err);
