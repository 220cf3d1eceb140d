#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* Finds the hard links of a merged tree: names that have the same data of the same layer. Only
 * targets of hard links can have several names, so only these are kept, up to a maximum. */

struct layer_link {
    size_t layer;
    uint64_t data;
    struct bytes path; /* p is NULL as long as it has no name */
};

struct layer_links {
    size_t max;
    struct layer_link *all;
    size_t n, room;
    struct arena paths;
};

/* max: number of files. */
void layer_links_init(struct layer_links *l, size_t max);
void layer_links_free(struct layer_links *l);

/* First step: note all nodes of the tree, in any order. Files beyond the maximum are ignored. */
void layer_links_add(struct layer_links *l, const struct layer_merge_node *node);
/* Then this. */
void layer_links_sort(struct layer_links *l);

/* Second step, for each name: returns true and *other if the file has a name already. Otherwise
 * this becomes its name. */
bool layer_links_name(struct layer_links *l, const struct layer_merge_node *node, struct bytes path,
                      struct bytes *other);
