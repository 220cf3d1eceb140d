#ifndef STORAGE_LAYERS_SORTED_FILE_H
#define STORAGE_LAYERS_SORTED_FILE_H

#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* A file of records that is sorted by key (as bytes), written once and never changed, for derived
 * data. It has compressed blocks of about 16 KiB, each with a checksum. Above them is a tree of
 * blocks with the first key of each, written from the bottom up. A header in front has the root's
 * place and the file's size. A reader gives exactly what was written, or reports ERR_CORRUPT when
 * the file was cut or changed. The file is read and not mapped, because a mapped file that is cut
 * causes a signal.
 *
 * A B-tree of Berkeley DB was tried instead. It takes 113 bytes for an entry of a layer where this
 * format takes 14. To open one takes a cache of 256 KiB and 0.1 ms instead of one read. And it is
 * not made for files that somebody else has damaged. */

#define SORTED_FILE_KEY_MAX 512
#define SORTED_FILE_VALUE_MAX ((size_t)256 << 10)

/* ---- writing ---- */

struct sorted_writer;

/* fd: an empty file, open for writing. The caller keeps it, and syncs it. */
struct sorted_writer *sorted_file_create(int fd);
/* Appends a record. Keys must ascend; a key that doesn't, or a record that is too long, is
 * ERR_SYSTEM. */
int sorted_file_put(struct sorted_writer *w, struct bytes key, struct bytes value, struct err *err);
/* Completes the file. It is complete when this has returned 0. */
int sorted_file_finish(struct sorted_writer *w, struct err *err);
/* Bytes written to the file up to now. */
uint64_t sorted_file_written(const struct sorted_writer *w);
void sorted_file_free(struct sorted_writer *w);

/* ---- reading ---- */

struct sorted_file;

/* The sorted_file takes over fd, unless this fails (NULL). */
struct sorted_file *sorted_file_open(int fd, struct err *err);
void sorted_file_close(struct sorted_file *f);
/* Frees everything except fd, which is the caller's again. */
void sorted_file_forget(struct sorted_file *f);
/* The number of records. */
uint64_t sorted_file_records(const struct sorted_file *f);

/* Look-ups: 1, 0, -1. The results are valid until the next call with the same file. */
int sorted_file_get(struct sorted_file *f, struct bytes key, struct bytes *value, struct err *err);
/* Finds the record with the largest key that is not larger than `key`. */
int sorted_file_floor(struct sorted_file *f, struct bytes key, struct bytes *found,
                      struct bytes *value, struct err *err);

/* Reads records in order. There may be any number of cursors; close all of them before the file. */
struct sorted_cursor {
    struct sorted_file *file;
    struct sorted_block *block; /* NULL: at the end */
    size_t at;
    size_t next_n; /* length of the first key of the next block; 0: no next block */
    uint8_t next[SORTED_FILE_KEY_MAX];
};

/* Places the cursor before the first record whose key is not smaller than `key`. Returns 0, or -1
 * and the cursor is closed. */
int sorted_file_seek(struct sorted_file *f, struct sorted_cursor *c, struct bytes key,
                     struct err *err);
/* Gives the next record, valid until the next call with this cursor. Returns 1, 0 at the end, -1.
 * */
int sorted_file_next(struct sorted_cursor *c, struct bytes *key, struct bytes *value,
                     struct err *err);
void sorted_file_leave(struct sorted_cursor *c);

#endif
