#pragma once

#include <stddef.h>
#include <stdint.h>
#include "storage/layers/sorted_format.h"
#include "util/bytes.h"
#include "util/err.h"

/* A file of records that is sorted by key (as bytes), written once and never changed, for derived
 * data. It has compressed blocks of about 16 KiB, each with a checksum. Above them is a tree of
 * blocks with the first key of each, written from the bottom up. A header in front has the root's
 * place and the file's size. sorted_writer writes it. A reader gives exactly what was written, or
 * reports ERR_CORRUPT when the file was cut or changed. The file is read and not mapped, because a
 * mapped file that is cut causes a signal.
 *
 * A B-tree of Berkeley DB was tried instead. It takes 113 bytes for an entry of a layer where this
 * format takes 14. To open one takes a cache of 256 KiB and 0.1 ms instead of one read. And it is
 * not made for files that somebody else has damaged. */

struct sorted_file;

/* fd stays the caller's, and stays open. Returns NULL on failure. */
struct sorted_file *sorted_file_open(int fd, struct err *err);
void sorted_file_close(struct sorted_file *f);

/* Fills err with ERR_CORRUPT for a damaged file, and returns -1. */
int sorted_file_corrupt(struct err *err, const char *how);

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
    uint8_t next[SORTED_FORMAT_KEY_MAX];
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
