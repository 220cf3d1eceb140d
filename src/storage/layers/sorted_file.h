#ifndef STORAGE_LAYERS_SORTED_FILE_H
#define STORAGE_LAYERS_SORTED_FILE_H

#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* A file of records, sorted by key (as bytes), written once and never changed: for what is derived
 * and can be made again. Blocks of about 16 KiB, compressed, each with a checksum; above them a
 * tree of blocks with the first key of each, written from the bottom up; in front a header with the
 * root's place and the file's size. Whatever is in the file, a reader gives what was written, or
 * says ERR_CORRUPT: that a file was cut, or a bit in it flipped, never shows in any other way. It
 * is read, not mapped: a file that is cut while it is open is an error, and no signal.
 *
 * A B-tree of Berkeley DB was tried for this. It takes 113 bytes for an entry of a layer where this
 * takes 14, wants a cache of 256 KiB and 0.1 ms to open where this wants one read, and is not made
 * for files that somebody else has damaged. */

#define SORTED_FILE_KEY_MAX 512
#define SORTED_FILE_VALUE_MAX ((size_t)256 << 10)

/* ---- writing ---- */

struct sorted_writer;

/* fd: an empty file, open for writing; it stays the caller's, and so does making it durable. */
struct sorted_writer *sorted_file_create(int fd);
/* Keys ascend; one that doesn't is ERR_SYSTEM, and so is a record that is too long. */
int sorted_file_put(struct sorted_writer *w, struct bytes key, struct bytes value, struct err *err);
/* The file is complete when this has returned 0. */
int sorted_file_finish(struct sorted_writer *w, struct err *err);
/* Bytes that are in the file so far. */
uint64_t sorted_file_written(const struct sorted_writer *w);
void sorted_file_free(struct sorted_writer *w);

/* ---- reading ---- */

struct sorted_file;

/* fd becomes the file's, unless this fails (NULL). */
struct sorted_file *sorted_file_open(int fd, struct err *err);
void sorted_file_close(struct sorted_file *f);
/* Closes all but fd, which is the caller's again. */
void sorted_file_forget(struct sorted_file *f);
/* How many records there are. */
uint64_t sorted_file_records(const struct sorted_file *f);

/* What is found is valid until the next call with the same file. 1, 0, -1. */
int sorted_file_get(struct sorted_file *f, struct bytes key, struct bytes *value, struct err *err);
/* The record with the largest key that is not larger than `key`. */
int sorted_file_floor(struct sorted_file *f, struct bytes key, struct bytes *found,
                      struct bytes *value, struct err *err);

/* Records in order. Any number of cursors, all closed before the file. */
struct sorted_cursor {
    struct sorted_file *file;
    struct sorted_block *block; /* NULL: at the end */
    size_t at;
    size_t next_n; /* of the first key of the next block; 0: there is none */
    uint8_t next[SORTED_FILE_KEY_MAX];
};

/* Before the first record whose key is not smaller than `key`. 0 or -1 (then it is closed). */
int sorted_file_seek(struct sorted_file *f, struct sorted_cursor *c, struct bytes key,
                     struct err *err);
/* The next record, valid until the next call with this cursor. 1, 0 at the end, -1. */
int sorted_file_next(struct sorted_cursor *c, struct bytes *key, struct bytes *value,
                     struct err *err);
void sorted_file_leave(struct sorted_cursor *c);

#endif
