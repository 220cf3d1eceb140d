#pragma once

#include "storage/files/blob_store.h"
#include "storage/layers/index_file.h"

/* Where the indexes of layers are: below index/ of a directory (index_file.h), or as objects of a
 * bucket under the same names, with copies in cache/ (storage/files/index_object.h). What comes out
 * of a bucket is read to its end, and its checksums and its layer compared, before anything of it
 * is used; a damaged object is removed, so that it is made again.
 *
 * Several servers may use the same place. An index may go at any time, and a new one may replace
 * it, which says the same. Their programs may be of different versions, while one after the other
 * is upgraded: an index of an older version is replaced, and one of a newer version stays, and
 * counts as missing. */
struct index_store {
    int root;                        /* the data directory: new files are made in its index/ */
    int dir;                         /* index/ is below it */
    const struct blob_store *bucket; /* NULL: there is none, and `dir` counts */
};

/* Opens the index of a layer. 1; 0: there is none, or it was damaged or of an older version, and
 * has been removed, or it is of a newer version; -1. */
int index_store_open(struct index_store s, const struct digest *layer, struct layer_index **x,
                     struct err *err);
/* Reads only the facts about the whole layer. As above. */
int index_store_info(struct index_store s, const struct digest *layer, struct layer_info *info,
                     struct err *err);
/* Opens its file for reading. 1 and the descriptor, 0, -1. */
int index_store_file(struct index_store s, const struct digest *layer, int *fd, struct err *err);
/* Is there an index, of whatever contents? 1, 0, -1. */
int index_store_has(struct index_store s, const struct digest *layer, struct err *err);
/* The same for the process that makes indexes: in a directory it also opens it, and one of a newer
 * version is there. In a bucket it
 * doesn't fetch it, and believes in an object of which it has a copy, unless it is_asked: another
 * process didn't find it. */
int index_store_look(struct index_store s, const struct digest *layer, bool is_asked,
                     struct err *err);

/* Can indexes be written? As index_file_check. */
int index_store_check(struct index_store s, struct err *err);
/* An index gets its name in two steps, of which another process may do the first one: the bytes in
 * fd, a file as of index_file_create, are made durable where a power loss could leave others, or
 * become the object; and then the file, or the copy, gets its name. */
int index_store_send(struct index_store s, int fd, const struct digest *layer, struct err *err);
int index_store_publish(struct index_store s, int fd, const struct digest *layer, struct err *err);
/* Both, for bytes that nobody has verified: no copy is made of them. */
int index_store_put(struct index_store s, int fd, const struct digest *layer, struct err *err);
/* Makes and puts the index of a layer that can't be browsed, as index_file_refuse writes it. */
int index_store_refuse(struct index_store s, const struct layer_info *info, struct err *err);

/* 0 also if there was none. */
int index_store_remove(struct index_store s, const struct digest *layer, struct err *err);
/* Reads the whole index, and removes the file, or the copy, if it is damaged. */
int index_store_mend(struct index_store s, const struct digest *layer, struct err *err);
/* Reads the whole index where it is, and changes nothing. As index_file_examine; 0: there is none.
 */
int index_store_examine(struct index_store s, const struct digest *layer, struct err *err);
/* As index_file_each. */
int index_store_each(struct index_store s, unsigned directory,
                     int (*fn)(const struct digest *layer, void *arg, struct err *err), void *arg,
                     struct err *err);
