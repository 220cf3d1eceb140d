#ifndef STORAGE_LAYERS_LAYER_ENTRY_H
#define STORAGE_LAYERS_LAYER_ENTRY_H

#include <stdbool.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/err.h"

/* What a layer says about one name in one of its directories. */

#define LAYER_NAME_MAX 255  /* of a component, as in every file system */
#define LAYER_PATH_MAX 4095 /* and of a path or link */

/* The numbers are stored. */
enum layer_type {
    LAYER_NONE = 0, /* no entry: the name only hides what is below */
    LAYER_FILE = 1,
    LAYER_DIR = 2,
    LAYER_SYMLINK = 3,
    LAYER_CHAR = 4,
    LAYER_BLOCK = 5,
    LAYER_FIFO = 6,
};

#define LAYER_HIDES_BELOW 1 /* .wh.NAME: lower layers' NAME isn't there */
#define LAYER_OPAQUE 2      /* a directory with .wh..wh..opq: lower layers' contents aren't there */
#define LAYER_IMPLICIT 4    /* a directory that the layer needs, and says nothing about */
#define LAYER_HARD_LINK 8   /* link names what it is a hard link to; the rest is that file's */
#define LAYER_LOWER 16      /* but that file is in no entry before it: a lower layer may have it */
#define LAYER_SPARSE 32     /* the data are in pieces, with holes between: layer_index_sparse */
#define LAYER_FLAGS 63

struct layer_entry {
    struct bytes name;
    struct bytes link; /* of a symlink as in the tar; of a hard link the clean path */
    enum layer_type type;
    unsigned flags;
    uint32_t mode; /* permissions, with setuid, setgid and sticky */
    uint64_t uid, gid;
    uint64_t size;  /* of a file's data, holes included */
    int64_t mtime;  /* seconds since 1970 */
    uint32_t nanos; /* and nanoseconds */
    uint64_t data;  /* where a file's first byte is in the uncompressed tar */
    uint32_t dir;   /* of a directory: its number, by which its contents are found */
    uint32_t major, minor;
    uint32_t xattrs; /* how many */
};

/* Without the name, which is in the key. */
void layer_entry_encode(struct buf *out, const struct layer_entry *e);
/* e's link points into `in`; e->name is left alone. 0, or -1 and ERR_CORRUPT when it isn't exactly
 * one entry. */
int layer_entry_decode(struct layer_entry *e, struct bytes in, struct err *err);

/* Whether it may be a name in a directory: neither empty nor too long, no slash, NUL, "." or "..".
 */
bool layer_entry_name_ok(struct bytes name);

#endif
