#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/record.h"
#include "util/digest.h"
#include "util/err.h"

/* Lists the tags of all repositories from which an actor may pull, the newest first: those behind a
 * place, up to a number. This reads all tags, which takes a second for a million. */

struct actor;

/* The place where a search continues: behind the first `given` hits of the image that this tag
 * names. */
struct search_place {
    char repository[RECORD_REPOSITORY_MAX + 1]; /* "": at the beginning */
    char tag[RECORD_TAG_MAX + 1];
    uint64_t updated; /* the last move of that tag */
    uint64_t given;   /* UINT64_MAX: all of the image */
};

struct search_tag {
    uint64_t updated;
    uint64_t repo;
    struct digest target;
    char tag[RECORD_TAG_MAX + 1];
};

struct search_tags {
    size_t max;
    struct search_tag *v;
    size_t n;
    bool more;
};

/* Tags of images of the first API that have no manifest are left out. */
int search_tags_read(const struct registry *reg, const struct actor *actor,
                     const struct search_place *after, struct search_tags *out, struct err *err);
void search_tags_free(struct search_tags *tags);
