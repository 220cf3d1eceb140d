#pragma once

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "util/digest.h"
#include "util/err.h"

/* The files below index/: one for each layer, <algorithm>/<2 hex>/<hex>. They are derived data, so
 * any or all of them may be deleted at any time; missing directories are made again. The
 * directories are not synced: a file that a power loss takes is made again, and half a file is
 * recognized as damaged (layer_index). root is the descriptor of the data directory. */

#define INDEX_FILE_PATH_MAX 192

/* Writes the name relative to root. */
void index_file_path(char out[INDEX_FILE_PATH_MAX], const struct digest *layer);

/* Opens the index of a layer. Returns 1; 0 when there is none, or when it was damaged or of an
 * older version, in which case it has been removed, or with ERR_UNSUPPORTED when it is of a newer
 * version, and stays; -1 on failure. */
int index_file_open(int root, const struct digest *layer, struct layer_index **x, struct err *err);
/* The same for an open file, which it takes over. 0: it isn't the index of that layer. */
int index_file_take(int fd, const struct digest *layer, struct layer_index **x, struct err *err);

/* Reads only the facts about the whole layer: its diff id, whether it can be browsed. The file
 * stays open. 0: it isn't the index of that layer. */
int index_file_info_of(int fd, const struct digest *layer, struct layer_info *info,
                       struct err *err);

/* Can indexes be written? 0, or -1: not before somebody changes a directory. */
int index_file_check(int root, struct err *err);

/* Creates a file without a name below index/, for layer_scan. Returns a descriptor or -1. */
int index_file_create(int root, struct err *err);
/* Gives the file its name. A file that already has this name stays; the reader that finds it
 * damaged removes it. If root is on another file system than the file, it is copied, below tmp/ of
 * root at first. */
int index_file_publish(int root, int fd, const struct digest *layer, struct err *err);
/* Writes the index of a layer that can't be browsed, with the reason, to a file as of
 * index_file_create. Only `layer`, `layer_size` and `remark` of info are used. Descriptor or -1. */
int index_file_refuse(int root, const struct layer_info *info, struct err *err);

/* Removes an index. Returns 0 also when there was none. */
int index_file_remove(int root, const struct digest *layer, struct err *err);

/* Is there a file at all? */
bool index_file_exists(int root, const struct digest *layer);

/* Reads the whole index in the file, which it takes over. 1, also for one of an older format, which
 * is made again when it is needed, and of a newer one; -1, ERR_CORRUPT: it is damaged, or is that
 * of another layer. */
int index_file_examine(int fd, const struct digest *layer, struct err *err);

/* For a sweep: calls fn for each index in directory n (digest_directory). fn is called as by
 * blob_file_each; files with other names are ignored. */
int index_file_each(int root, unsigned directory,
                    int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                    struct err *err);
