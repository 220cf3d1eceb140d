#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "util/buf.h"
#include "util/bytes.h"

/* An entry of a layer: one name in one of its directories. */

#define LAYER_NAME_MAX 255  /* bytes in a component, as in all file systems */
#define LAYER_PATH_MAX 4095 /* bytes in a path or link */

/* The numbers are part of the stored format. */
enum layer_type {
    LAYER_NONE = 0, /* no entry: only hides the name in lower layers */
    LAYER_FILE = 1,
    LAYER_DIR = 2,
    LAYER_SYMLINK = 3,
    LAYER_CHAR = 4,
    LAYER_BLOCK = 5,
    LAYER_FIFO = 6,
};

#define LAYER_HIDES_BELOW 1 /* .wh.NAME: hides NAME of lower layers */
#define LAYER_OPAQUE 2      /* .wh..wh..opq: hides the directory's contents in lower layers */
#define LAYER_IMPLICIT 4    /* a directory of a path, without an entry in the tar */
#define LAYER_HARD_LINK                                                                        \
    8                   /* `link` is the path of its target; the other fields are the target's \
                         */
#define LAYER_LOWER 16  /* but no earlier entry is the target: a lower layer may have it */
#define LAYER_SPARSE 32 /* the data are in pieces with holes between: layer_index_sparse */
#define LAYER_FLAGS 63

struct layer_entry {
    struct bytes name;
    struct bytes link; /* symlink: as in the tar; hard link: the clean path */
    enum layer_type type;
    unsigned flags;
    uint32_t mode; /* permissions, setuid, setgid and sticky */
    uint64_t uid, gid;
    uint64_t size;  /* bytes of a file's data, including holes */
    int64_t mtime;  /* seconds since 1970 */
    uint32_t nanos; /* nanoseconds of mtime */
    uint64_t data;  /* position of a file's first byte in the uncompressed tar */
    uint32_t dir;   /* a directory's number, which is the key of its contents */
    uint32_t major, minor;
    uint32_t xattrs; /* number of extended attributes */
};

/* Encodes the entry without its name, which is in the key. */
void layer_entry_encode(struct buf *out, const struct layer_entry *e);
/* Decodes an entry. e->link points into `in`; e->name is not changed. Returns false when `in` isn't
 * exactly one entry. */
bool layer_entry_decode(struct layer_entry *e, struct bytes in);

/* True if it may be a name in a directory: not empty, not too long, without slash or NUL, and not
 * "." or "..". */
bool layer_entry_name_ok(struct bytes name);
