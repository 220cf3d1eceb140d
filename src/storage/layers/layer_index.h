#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/inflate.h"
#include "storage/layers/layer_entry.h"
#include "storage/layers/sorted_file.h"
#include "util/digest.h"

/* The index of one layer, index/sha256/ab/<hex>: everything that is needed to show the layer's part
 * of a tree and to read its files, without reading its tar again. It is a sorted_file, and derived
 * data: a caller that gets ERR_CORRUPT removes it and has it made again, also one of an older
 * version. One of a newer version is ERR_UNSUPPORTED: another node made it, and it stays.
 *
 * Directories have numbers: 0 is the root, and each has a larger number than its parent. Keys, by
 * their first byte, in the order in which they are written:
 *
 *   C, position (8)          a checkpoint at that position of the uncompressed layer
 *   E, directory (4), name   an entry
 *   I                        the layer_info
 *   R                        the entry of the root directory itself
 *   S, position (8)          the pieces of the sparse file whose data are there
 *   Y                        the number of pieces of the filter of names (layer_names.h)
 *   Y, number (4)            such a piece
 *
 * Indexes of older programs have no filter. They stay valid. */

#define LAYER_INDEX_VERSION 2
#define LAYER_INDEX_TEXT_MAX 256
#define LAYER_INDEX_ROOT 0u

struct layer_info {
    struct digest layer; /* digest of the blob */
    uint64_t layer_size; /* bytes of the blob */
    enum inflate_format format;
    bool browsable;  /* false: the index has only this record, and `remark` says why */
    bool incomplete; /* the tar ends early or is damaged; it has the entries before that */
    /* Digest of the uncompressed layer. DIGEST_NONE: it can't be read to its end, or other bytes
     * follow, which clients refuse or take for something else. */
    struct digest diff_id;
    uint64_t size;       /* uncompressed bytes */
    uint64_t names;      /* number of entries, including implicit directories */
    uint64_t files;      /* number of those that are files */
    uint64_t file_bytes; /* sum of the files' sizes; hard links are not counted again */
    uint64_t skipped;    /* entries of the tar that are omitted, because they can't be unpacked */
    char remark[LAYER_INDEX_TEXT_MAX]; /* what is unusual about the layer, or "" */
};

/* A piece of a sparse file: `length` bytes at `offset`. The data of the pieces are stored without
 * gaps. */
struct layer_piece {
    uint64_t offset;
    uint64_t length;
};
#define LAYER_INDEX_PIECES_MAX 10000

/* ---- writing, in the order of the keys ---- */

struct layer_index_writer;

/* fd as for sorted_writer_new. */
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
/* Bytes written to the file up to now. */
uint64_t layer_index_written(const struct layer_index_writer *w);
void layer_index_free(struct layer_index_writer *w);

/* ---- reading ---- */

struct layer_index;

/* The index takes over fd, unless this fails (NULL). */
struct layer_index *layer_index_open(int fd, struct err *err);
void layer_index_close(struct layer_index *x);
const struct layer_info *layer_index_info(const struct layer_index *x);

/* Reads the whole index. Returns 0, or -1 and ERR_CORRUPT when any part is damaged. */
int layer_index_check(struct layer_index *x, struct err *err);

/* Look-ups; the results point into the index and are valid until the next call. They return 1, 0,
 * -1. */
int layer_index_root(struct layer_index *x, struct layer_entry *e, struct err *err);
int layer_index_get(struct layer_index *x, uint32_t dir, struct bytes name, struct layer_entry *e,
                    struct err *err);
/* Finds the last checkpoint at or before that position. Returns 0 if only the layer's beginning is.
 * */
int layer_index_checkpoint(struct layer_index *x, uint64_t position, struct inflate_checkpoint *c,
                           struct err *err);
/* Finds the pieces of the sparse file whose data are at that position. The caller frees *pieces. */
int layer_index_sparse(struct layer_index *x, uint64_t data, struct layer_piece **pieces, size_t *n,
                       struct err *err);

/* Tells whether an entry of that name may be there, in whichever directory. 1; 0: there is none;
 * -1. Without a filter it is 1. */
int layer_index_may_have(struct layer_index *x, struct bytes name, struct err *err);

/* Visits all entries of all directories, by the directories' numbers. dir: the number of the
 * directory that has the entry. fn returns 0 to go on, 1 to stop, or -1. */
int layer_index_each(struct layer_index *x,
                     int (*fn)(void *arg, uint32_t dir, const struct layer_entry *e,
                               struct err *err),
                     void *arg, struct err *err);

/* A directory's entries in the order of their names, as bytes. */
struct layer_index_list {
    struct sorted_cursor cursor;
    uint32_t dir;
};
/* Starts the list at the first name that is not smaller than `from` ("": all names). Returns 0 or
 * -1. */
int layer_index_list(struct layer_index *x, uint32_t dir, struct bytes from,
                     struct layer_index_list *list, struct err *err);
/* Gives the next entry, valid until the next call with this list. Returns 1, 0 at the end, -1. */
int layer_index_next(struct layer_index_list *list, struct layer_entry *e, struct err *err);
void layer_index_leave(struct layer_index_list *list);
