#pragma once

#include "domain/inside/layer_merge.h"
#include "util/bytes.h"
#include "util/err.h"

/* Walks through all that is below a directory of the merged tree. Memory is bounded by the depth of
 * the tree and the number of layers. */

struct layer_walk;

enum layer_walk_order {
    LAYER_WALK_BYTES, /* byte order of paths, as `find` sorted in the C locale: "d d-x d/y" */
    LAYER_WALK_TREE,  /* the contents of a directory directly after it: "d d/y d-x" */
};

/* dir: a directory; its parts may be freed afterwards. It is not part of the walk itself. after:
 * begins after this path in that order, whether it exists or not ("": all). NULL: failed. */
struct layer_walk *layer_walk_begin(struct layer_merge *m, const struct layer_merge_node *dir,
                                    enum layer_walk_order order, struct bytes after,
                                    struct err *err);
/* The next entry, and its path from the directory on, without a slash at either end. Both are valid
 * until the next call with this walk. 1, 0 at the end, -1: the walk can only be ended. */
int layer_walk_next(struct layer_walk *w, struct bytes *path, struct layer_merge_node *node,
                    struct err *err);
void layer_walk_end(struct layer_walk *w);
