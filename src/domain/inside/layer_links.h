#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "util/arena.h"
#include "util/bytes.h"
#include "util/err.h"

/* Which files of a merged tree are one file: those that have the same data of the same layer. Only
 * a hard link can make two of them, so only what hard links lead to is kept; and only so much. */

struct layer_link {
    size_t layer;
    uint64_t data;
    struct bytes path; /* p is NULL: no name yet */
};

struct layer_links {
    size_t max;
    struct layer_link *all;
    size_t n, room;
    struct arena paths;
};

/* max: so many files. */
void layer_links_init(struct layer_links *l, size_t max);
void layer_links_free(struct layer_links *l);

/* First all nodes of the tree, in any order. Files beyond the maximum are passed over. */
void layer_links_add(struct layer_links *l, const struct layer_merge_node *node);
/* Then this. */
void layer_links_sort(struct layer_links *l);

/* Then, for each name: whether the same file has another one already (*other). If not, this one is
 * its name from now on. */
bool layer_links_name(struct layer_links *l, const struct layer_merge_node *node, struct bytes path,
                      struct bytes *other);
