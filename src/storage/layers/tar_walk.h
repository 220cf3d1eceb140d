#ifndef STORAGE_LAYERS_TAR_WALK_H
#define STORAGE_LAYERS_TAR_WALK_H

#include <stdint.h>
#include "storage/layers/tar_unpack.h"
#include "util/bytes.h"
#include "util/err.h"

/* The entries of a tar as they are stored: v7, ustar (POSIX.1-1988), pax (POSIX.1-2001), and GNU's
 * long names and large numbers. The records of pax and GNU are no entries of their own; what they
 * say of the next entry is applied to it. Nothing is interpreted: names are bytes, the type is the
 * raw byte. Sparse files are refused. */

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
    int64_t size; /* as the header has it; links and devices have no data whatever it says */
    int64_t mtime;
    int64_t devmajor; /* 0 for what is no device */
    int64_t devminor;
    char type;
    struct tar_walk_xattr xattrs[TAR_WALK_XATTRS_MAX]; /* by name */
    size_t xattrs_n;
};

struct tar_walk;

/* from stays the caller's. NULL: no memory. */
struct tar_walk *tar_walk_begin(struct tar_unpack *from);
/* The same over a plain file, whose data is not read where it isn't asked for. fd stays the
 * caller's; its offset is not used. */
struct tar_walk *tar_walk_begin_file(int fd);
void tar_walk_end(struct tar_walk *w);

/* The next entry, whose data is passed over if it wasn't read: 1, 0 at the end (a block of zeroes,
 * or no bytes any more), -1: ERR_BAD_IMAGE when it is no tar, or has what we don't take. What e
 * points to is valid until the next call. */
int tar_walk_next(struct tar_walk *w, struct tar_walk_entry *e, struct err *err);

/* Of a plain file: where the data of the entry that tar_walk_next gave begins. */
uint64_t tar_walk_position(const struct tar_walk *w);

/* The next piece of the entry's data: 1, 0 at its end, -1. */
int tar_walk_data(struct tar_walk *w, struct bytes *piece, struct err *err);

#endif
