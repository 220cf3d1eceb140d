#pragma once

#include <stdbool.h>
#include "storage/files/blob_store.h"
#include "util/digest.h"

/* cache/: files of blobs, and of indexes (index_object.h), that are objects elsewhere, for readers
 * that need a descriptor. A file gets its name when its bytes were verified. When they have more
 * than s->cache_bytes, those go that were opened longest ago; they also go when the disk gets full.
 * path: as blob_file_path writes it. */

/* For the first process of a server: after a power loss, files that nobody has synced may have any
 * bytes. So all copies go, also nginx's, if the machine was booted since they were made. */
int blob_cache_prepare(const struct blob_store *s, struct err *err);
/* A descriptor, or -1; err->sys is ENOENT if the object is missing. ERR_CORRUPT: it has another
 * digest. */
int blob_cache_open(const struct blob_store *s, const char *path, const struct digest *d,
                    struct err *err);
/* In two steps, of which another process may do the second: a descriptor, and whether the file is
 * still empty. most: the bytes that the file may have. */
int blob_cache_begin(const struct blob_store *s, const char *path, bool *is_absent,
                     struct err *err);
int blob_cache_fill(const struct blob_store *s, const char *path, const struct digest *d, int fd,
                    uint64_t most, struct err *err);
/* Parts of these: the descriptor of a file that is there, or -1; one of a new file without a name,
 * or -1; the bytes that it may have. */
int blob_cache_look(const struct blob_store *s, const char *path);
int blob_cache_create(const struct blob_store *s, struct err *err);
uint64_t blob_cache_room(const struct blob_store *s);
/* Gives the open file its name. Its bytes were verified, and nobody changes it any more: the layer
 * that was just pushed is indexed from there. */
void blob_cache_keep(const struct blob_store *s, const char *path, int fd);
/* Removes copies whose digest begins with that byte, if they are as old as age_s, and fn says 0: it
 * returns 1 if there is such an object; 0; -1. instance: NULL: the copy of an index. */
int blob_cache_sweep(const struct blob_store *s, unsigned byte, int64_t age_s,
                     int (*fn)(const struct digest *d, const uint64_t *instance, void *arg,
                               struct err *err),
                     void *arg, struct err *err);
void blob_cache_remove(const struct blob_store *s, const char *path);
