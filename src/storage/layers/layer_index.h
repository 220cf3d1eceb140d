#ifndef STORAGE_LAYERS_LAYER_INDEX_H
#define STORAGE_LAYERS_LAYER_INDEX_H

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/inflate.h"
#include "storage/layers/layer_entry.h"
#include "storage/layers/sorted_file.h"
#include "util/digest.h"

/* The index of one layer, index/sha256/ab/<hex>: all that is needed to show the layer's part of a
 * tree and to read from its files, without reading its tar again. A sorted_file. It is derived: who
 * gets ERR_CORRUPT throws it away and has it made again; and so is an index of another version.
 *
 * Directories have numbers: 0 is the root, and each has a larger one than the directory in which it
 * is. Keys, by their first byte, in the order in which they are put:
 *
 *   C, position (8)        a checkpoint at that position of the uncompressed layer
 *   E, directory (4), name an entry
 *   I                      the layer_info
 *   R                      what the layer says about the root directory itself
 *   S, position (8)        the pieces of the sparse file whose data are there
 */

#define LAYER_INDEX_VERSION 1
#define LAYER_INDEX_TEXT_MAX 256
#define LAYER_INDEX_ROOT 0u

struct layer_info {
    struct digest layer; /* the blob */
    uint64_t layer_size; /* its bytes */
    enum inflate_format format;
    bool browsable;  /* else there is nothing but this record, and `remark` says why */
    bool incomplete; /* the tar ends early, or is damaged: the entries are those before */
    struct digest
        diff_id;    /* of the uncompressed layer; DIGEST_NONE: it couldn't be read to the end */
    uint64_t size;  /* uncompressed bytes */
    uint64_t names; /* entries: names that are there, implicit directories included */
    uint64_t files; /* of them, files, */
    uint64_t file_bytes; /* and their sizes, hard links not counted again */
    uint64_t skipped;    /* entries of the tar that no unpacker could make, left out */
    char remark[LAYER_INDEX_TEXT_MAX]; /* "" or what is odd about the layer */
};

/* A piece of a sparse file: `length` bytes at `offset`. The pieces' data follow each other. */
struct layer_piece {
    uint64_t offset;
    uint64_t length;
};
#define LAYER_INDEX_PIECES_MAX 10000

/* ---- writing: in the order of the keys ---- */

struct layer_index_writer;

/* fd as for sorted_file_create. */
struct layer_index_writer *layer_index_create(int fd);
int layer_index_put_checkpoint(struct layer_index_writer *w, const struct inflate_checkpoint *c,
                               struct err *err);
int layer_index_put_entry(struct layer_index_writer *w, uint32_t dir, const struct layer_entry *e,
                          struct err *err);
int layer_index_put_info(struct layer_index_writer *w, const struct layer_info *info,
                         struct err *err);
int layer_index_put_root(struct layer_index_writer *w, const struct layer_entry *e,
                         struct err *err);
int layer_index_put_sparse(struct layer_index_writer *w, uint64_t data,
                           const struct layer_piece *pieces, size_t n, struct err *err);
int layer_index_finish(struct layer_index_writer *w, struct err *err);
/* Bytes that are in the file so far. */
uint64_t layer_index_written(const struct layer_index_writer *w);
void layer_index_free(struct layer_index_writer *w);

/* ---- reading ---- */

struct layer_index;

/* fd becomes the index's, unless this fails (NULL). */
struct layer_index *layer_index_open(int fd, struct err *err);
void layer_index_close(struct layer_index *x);
const struct layer_info *layer_index_info(const struct layer_index *x);

/* Reads all of it: 0, or -1 and ERR_CORRUPT when any of it is damaged. */
int layer_index_check(struct layer_index *x, struct err *err);

/* Look-ups; what they give points into the index until the next call. 1, 0, -1. */
int layer_index_root(struct layer_index *x, struct layer_entry *e, struct err *err);
int layer_index_get(struct layer_index *x, uint32_t dir, struct bytes name, struct layer_entry *e,
                    struct err *err);
/* The last checkpoint at or before that position; 0: there is none but the layer's beginning. */
int layer_index_checkpoint(struct layer_index *x, uint64_t position, struct inflate_checkpoint *c,
                           struct err *err);
/* The pieces of the sparse file whose data are at that position. *pieces is to be freed. */
int layer_index_sparse(struct layer_index *x, uint64_t data, struct layer_piece **pieces, size_t *n,
                       struct err *err);

/* A directory's entries in the order of their names, as bytes. */
struct layer_index_list {
    struct sorted_cursor cursor;
    uint32_t dir;
};
/* From the first name that is not smaller than `from` on ("": all). 0 or -1. */
int layer_index_list(struct layer_index *x, uint32_t dir, struct bytes from,
                     struct layer_index_list *list, struct err *err);
/* The next one, valid until the next call with this list. 1, 0 at the end, -1. */
int layer_index_next(struct layer_index_list *list, struct layer_entry *e, struct err *err);
void layer_index_leave(struct layer_index_list *list);

#endif
