#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "util/arena.h"
#include "util/err.h"

/* The root file system of an image, as a container sees it, made from the indexes of its layers.
 * The rules are the kernel's, and those of OCI image-spec "layer.md". For each name, layers are
 * asked from the top down:
 *
 * - no record: the next layer decides;
 *
 * - a directory: lower layers are merged into it, unless it is opaque or hides what is below;
 *
 * - anything else hides all below.
 *
 * If a layer has entries in a directory but no attributes for it, these come from the next lower
 * layer that has them. */

struct layer_merge {
    struct layer_index *const *layers; /* top first; an index may occur more than once */
    size_t n;
    uint64_t steps; /* records that may still be read; beyond that, ERR_NOT_BROWSABLE */
};

/* Records that one request may read, in most cases. */
#define LAYER_MERGE_STEPS 20000000u

/* The part of a directory that one layer has. */
struct layer_merge_part {
    uint32_t layer; /* index of layer_merge's layers */
    uint32_t dir;
};

struct layer_merge_node {
    /* The entry. Flags: LAYER_HARD_LINK, LAYER_SPARSE and LAYER_IMPLICIT are set. A hard link has
     * all attributes of its target, and is LAYER_NONE if it has no target. */
    struct layer_entry entry;
    size_t layer;                         /* the layer of the entry, or of a hard link's target */
    const struct layer_merge_part *parts; /* of a directory, top first */
    size_t parts_n;
};

/* Finds a path ("" or "/": the root). Follows symbolic links within the root; the last part's if
 * `follow`. Texts and parts are in the arena; the entry has no name. 1; 0: there is no such entry;
 * -1: ERR_NO_FILE: too many links; ERR_CORRUPT: an index is damaged. */
int layer_merge_find(struct layer_merge *m, struct arena *arena, struct bytes path, bool follow,
                     struct layer_merge_node *node, struct err *err);

/* Lists the entries of a directory, in the byte order of their names. */
struct layer_merge_list;

/* dir: a directory; its parts may be freed afterwards. Begins with the first name that is not
 * smaller than `from` ("": all). NULL: failed. */
struct layer_merge_list *layer_merge_list(struct layer_merge *m, const struct layer_merge_node *dir,
                                          struct bytes from, struct err *err);
/* The next entry, valid until the next call with this list. 1, 0 at the end, -1. */
int layer_merge_next(struct layer_merge_list *list, struct layer_merge_node *node, struct err *err);
void layer_merge_leave(struct layer_merge_list *list);
