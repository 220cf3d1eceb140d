#pragma once

#include <stdint.h>
#include "storage/layers/tar_unpack.h"
#include "util/bytes.h"
#include "util/err.h"

/* Reads the entries of a tar as they are stored: v7, ustar (POSIX.1-1988), pax (POSIX.1-2001), and
 * GNU's long names and large numbers. The records of pax and GNU are not entries; they are applied
 * to the next entry. Nothing else is interpreted: names are bytes, and the type is the raw byte.
 * Sparse files are refused. */

#define TAR_WALK_XATTRS_MAX 64

struct tar_walk_xattr {
    struct bytes name; /* without the prefix SCHILY.xattr. */
    struct bytes value;
};

struct tar_walk_entry {
    struct bytes name;
    struct bytes linkname;
    struct bytes uname;
    struct bytes gname;
    int64_t mode;
    int64_t uid;
    int64_t gid;
    int64_t size; /* as in the header; links and devices have no data, whatever it is */
    int64_t mtime;
    int64_t devmajor; /* 0 for other types */
    int64_t devminor;
    char type;
    struct tar_walk_xattr xattrs[TAR_WALK_XATTRS_MAX]; /* sorted by name */
    size_t xattrs_n;
};

struct tar_walk;

/* The caller keeps `from`. */
struct tar_walk *tar_walk_begin(struct tar_unpack *from);
/* The same for an uncompressed file. Data that is not asked for is not read. The caller keeps fd;
 * its offset is not used. */
struct tar_walk *tar_walk_begin_file(int fd);
void tar_walk_end(struct tar_walk *w);

/* Gives the next entry; data of the previous one that was not read is skipped. The texts
 * of e are valid until the next call. Returns 1; 0 at the end (a block of zeroes, or no more
 * bytes); -1, with ERR_BAD_IMAGE when it is not a tar or has something that is not supported. */
int tar_walk_next(struct tar_walk *w, struct tar_walk_entry *e, struct err *err);

/* For an uncompressed file: the offset of the data of the current entry. */
uint64_t tar_walk_position(const struct tar_walk *w);

/* Gives the next piece of the entry's data. Returns 1, 0 at its end, -1. */
int tar_walk_data(struct tar_walk *w, struct bytes *piece, struct err *err);
