#ifndef STORAGE_LAYERS_INDEX_FILE_H
#define STORAGE_LAYERS_INDEX_FILE_H

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "util/digest.h"
#include "util/err.h"

/* The files below index/: one for each layer, <algorithm>/<2 hex>/<hex>. They are derived, so any
 * of them, or all, may be deleted at any time; directories are made when they are missing. None is
 * made durable: what a power loss takes is made again, and half a file says so itself
 * (layer_index). root is the data directory's descriptor. */

#define INDEX_FILE_PATH_MAX 192

/* The name below root. */
void index_file_path(char out[INDEX_FILE_PATH_MAX], const struct digest *layer);

/* The index of a layer, open. 1; 0: there is none, or it was damaged or of another version, and is
 * gone now; -1. */
int index_file_open(int root, const struct digest *layer, struct layer_index **x, struct err *err);
/* Only what it says of the layer as a whole: its diff id, whether it can be looked into. */
int index_file_info(int root, const struct digest *layer, struct layer_info *info, struct err *err);

/* A new file without a name, below index/, for layer_scan; a descriptor or -1. */
int index_file_create(int root, struct err *err);
/* Gives it its name. If there is one of that name, that one stays: who finds it damaged removes it.
 */
int index_file_publish(int root, int fd, const struct digest *layer, struct err *err);
/* The index of a layer into which nobody can look, and why: info's `layer`, `layer_size` and
 * `remark` are what counts. */
int index_file_refuse(int root, const struct layer_info *info, struct err *err);

/* Gone, or it wasn't there: 0. */
int index_file_remove(int root, const struct digest *layer, struct err *err);

/* For a sweep: calls fn for each index in one of the directories (0 ... INDEX_FILE_DIRECTORIES -
 * 1). fn as in blob_file_each; a name that is none of ours is passed over. */
#define INDEX_FILE_DIRECTORIES 512
int index_file_each(int root, unsigned directory,
                    int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                    struct err *err);

#endif
