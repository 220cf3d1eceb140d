#ifndef STORAGE_LAYERS_LAYER_TREE_H
#define STORAGE_LAYERS_LAYER_TREE_H

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "storage/layers/tar_scan.h"
#include "util/err.h"

/* A layer unpacked into memory, alone and entry by entry, as the engines that have the kernel merge
 * layers unpack it (docker, podman, containerd); where those are at odds with OCI's image-spec
 * "layer.md", as that says:
 *
 * - names are cleaned, ".." stays at the root; a symbolic link of this layer on the way is
 * followed, inside the root; what is missing on the way becomes a directory, and so does what is
 * none
 * - the last entry of a name wins. A directory over a directory only changes it; anything else over
 *   a directory takes away what is in it
 * - a hard link takes over what its target is at that moment; is the target not in this layer, it
 *   is looked for below (LAYER_LOWER)
 * - .wh.NAME of any type: what lower layers have as NAME is hidden (LAYER_HIDES_BELOW); this
 *   layer's own NAME isn't. .wh..wh..opq: all they have in that directory (LAYER_OPAQUE). Both say
 *   nothing when this layer has something else than a directory in their way. Other names that
 * begin with .wh..wh. are aufs's: not shown, but a hard link may lead to them. What is below a .wh.
 * directory is dropped */

/* A layer that goes beyond is ERR_NOT_BROWSABLE. */
struct layer_limits {
    uint64_t entries; /* names in the tree, and entries of the tar */
    uint64_t names;   /* bytes of all names and links together */
    unsigned depth;   /* of directories */
    uint64_t work;    /* components of paths that are walked */
};

struct layer_tree;

struct layer_tree *layer_tree_new(const struct layer_limits *limits);
void layer_tree_free(struct layer_tree *t);

/* 0; or -1: ERR_NOT_BROWSABLE, also for names that no file system can hold, or out of memory. */
int layer_tree_add(struct layer_tree *t, const struct tar_entry *e, struct err *err);

/* Puts all into the index but checkpoints and info: the entries; then, after the info was put, the
 * root and the sparse files. The first fills info's counts. */
int layer_tree_write(struct layer_tree *t, struct layer_index_writer *w, struct layer_info *info,
                     struct err *err);
int layer_tree_write_rest(struct layer_tree *t, struct layer_index_writer *w, struct err *err);

#endif
