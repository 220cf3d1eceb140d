#pragma once

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "storage/layers/tar_scan.h"
#include "util/err.h"

/* A layer unpacked into memory, by itself and entry by entry. It is unpacked as by the engines that
 * let the kernel merge layers (docker, podman, containerd); where these differ, as OCI's image-spec
 * "layer.md" says:
 *
 * - Names are cleaned; ".." stays at the root. A symbolic link of this layer in a path is followed,
 *   inside the root. A component of the path that is missing, or is not a directory, becomes one.
 * - The last entry of a name wins. A directory over a directory only changes its attributes; any
 *   other entry over a directory removes its contents.
 * - A hard link takes over its target as it is at that moment. If this layer doesn't have the
 *   target, it is looked for in lower layers (LAYER_LOWER).
 * - .wh.NAME of any type hides NAME of the lower layers (LAYER_HIDES_BELOW), but not this layer's
 *   own NAME. .wh..wh..opq hides all that they have in that directory (LAYER_OPAQUE). Both have no
 *   effect if this layer has something other than a directory in their path.
 * - Other names that begin with .wh..wh. belong to aufs: they are not shown, but a hard link may
 *   lead to them. Entries below a .wh. directory are dropped. */

/* Limits; a layer that passes one is ERR_NOT_BROWSABLE. */
struct layer_limits {
    uint64_t entries; /* names in the tree, and also entries of the tar */
    uint64_t names;   /* bytes of all names and links together */
    unsigned depth;   /* directories inside each other */
    uint64_t work;    /* components of paths that may be walked */
};

struct layer_tree;

struct layer_tree *layer_tree_new(const struct layer_limits *limits);
void layer_tree_free(struct layer_tree *t);

/* Returns 0 or -1. ERR_NOT_BROWSABLE also stands for names that no file system can hold. */
int layer_tree_add(struct layer_tree *t, const struct tar_entry *e, struct err *err);

/* Writes the tree into the index. Checkpoints and info are not written here. The first function
 * writes the entries and fills the counts of info; after info was written, the second one writes
 * the root and the sparse files. */
int layer_tree_write(struct layer_tree *t, struct layer_index_writer *w, struct layer_info *info,
                     struct err *err);
int layer_tree_write_rest(struct layer_tree *t, struct layer_index_writer *w, struct err *err);
