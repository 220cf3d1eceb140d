#pragma once

#include "domain/inside/layer_merge.h"
#include "util/bytes.h"
#include "util/err.h"

/* All that is below a directory of the merged tree. Memory doesn't grow with the tree: it is
 * bounded by its depth, and by the number of layers. */

struct layer_walk;

enum layer_walk_order {
    LAYER_WALK_BYTES, /* of paths: what `find` prints, sorted in the C locale, "d d-x d/y" */
    LAYER_WALK_TREE,  /* a directory's contents directly behind it: "d d/y d-x" */
};

/* dir: a node that is a directory; its parts aren't needed any more afterwards. Nothing of it
 * itself is given. after: only what comes behind this path in that order, whether it is there or
 * not ("": all). NULL: failed. */
struct layer_walk *layer_walk_begin(struct layer_merge *m, const struct layer_merge_node *dir,
                                    enum layer_walk_order order, struct bytes after,
                                    struct err *err);
/* The next one: its path from the directory on, without slashes at the ends, and what is there.
 * Both are valid until the next call with this walk. 1, 0 at the end, -1 (then it can only be
 * ended). */
int layer_walk_next(struct layer_walk *w, struct bytes *path, struct layer_merge_node *node,
                    struct err *err);
void layer_walk_end(struct layer_walk *w);
