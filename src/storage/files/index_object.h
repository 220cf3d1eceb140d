#pragma once

#include "storage/files/blob_store.h"
#include "util/digest.h"

/* Indexes of layers that are objects of a bucket, beside the blobs, with copies in cache/
 * (blob_cache.h). Nothing here knows what an index is: whoever fetches one looks whether the bytes
 * are right before they become a copy. key: as index_file_path writes it. */

/* Stores the whole file, in place of what has the key. */
int index_object_put(const struct blob_store *s, const char *key, int fd, struct err *err);
/* Is there an object? 1, 0, -1. */
int index_object_look(const struct blob_store *s, const char *key, struct err *err);
/* Removes the object, and the copy of it. 0 also if there was none. */
int index_object_remove(const struct blob_store *s, const char *key, struct err *err);
/* For a sweep: calls fn for each object in directory n (digest_directory). */
int index_object_each(const struct blob_store *s, unsigned directory,
                      int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                      struct err *err);

/* Fetches the object to a file without a name. 1 and the descriptor; 0: there is none; -1. */
int index_object_get(const struct blob_store *s, const char *key, int *fd, struct err *err);
