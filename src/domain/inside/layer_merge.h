#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "util/arena.h"
#include "util/err.h"

/* An image's root file system, as a container sees it, out of the indexes of its layers, as the
 * kernel would merge them (and OCI's image-spec "layer.md" wants it). From the top layer down, name
 * by name: no record, this layer says nothing; a directory goes on below, unless it is opaque or
 * also hides what is below; anything else hides all below. A directory that a layer only needs
 * takes its attributes from the next one below that says something about it. */

struct layer_merge {
    struct layer_index *const *layers; /* top first; the same index may be there more than once */
    size_t n;
    uint64_t steps; /* how many records may still be looked at; then it is ERR_NOT_BROWSABLE */
};

/* How many records one request may look at, in most cases. */
#define LAYER_MERGE_STEPS 20000000u

/* One layer's part of a directory. */
struct layer_merge_part {
    uint32_t layer; /* which of layer_merge's */
    uint32_t dir;
};

struct layer_merge_node {
    /* What is there. flags: LAYER_HARD_LINK, LAYER_SPARSE and LAYER_IMPLICIT matter. A hard link
     * has all of its target; LAYER_NONE when there is no target. */
    struct layer_entry entry;
    size_t layer;                         /* where the entry, or a hard link's target, is from */
    const struct layer_merge_part *parts; /* of a directory, top first */
    size_t parts_n;
};

/* What is at that path ("" or "/": the root). Symbolic links on the way are followed, inside the
 * root only; the last component's if `follow`. Texts and parts are in the arena; the entry's name
 * is empty. 1; 0: nothing is there; -1: ERR_NO_FILE: too many links; ERR_CORRUPT: an index is
 * damaged. */
int layer_merge_find(struct layer_merge *m, struct arena *arena, struct bytes path, bool follow,
                     struct layer_merge_node *node, struct err *err);

/* A directory's entries in the order of their names, as bytes. */
struct layer_merge_list;

/* dir: a node that is a directory; its parts aren't needed any more afterwards. From the first name
 * that is not smaller than `from` on ("": all). NULL: failed. */
struct layer_merge_list *layer_merge_list(struct layer_merge *m, const struct layer_merge_node *dir,
                                          struct bytes from, struct err *err);
/* The next one, valid until the next call with this list. 1, 0 at the end, -1. */
int layer_merge_next(struct layer_merge_list *list, struct layer_merge_node *node, struct err *err);
void layer_merge_leave(struct layer_merge_list *list);
