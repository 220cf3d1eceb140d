#ifndef STORAGE_LAYERS_TAR_SCAN_H
#define STORAGE_LAYERS_TAR_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/layer_entry.h"
#include "storage/layers/layer_index.h"
#include "util/bytes.h"
#include "util/err.h"

/* The entries of a tar (v7, ustar, GNU, pax), in their order, from its uncompressed bytes. The only
 * place that parses strangers' tar, with libarchive, which can take hundreds of megabytes for a
 * small file, and ends the process when memory is out: call it in a process that has limits and
 * nothing to lose. The process is in the C locale, or names would be changed. */

/* Where the bytes come from. */
struct tar_source {
    /* The next bytes, valid until the next call. 1, 0 at the end, -1. */
    int (*pull)(void *arg, struct bytes *out, struct err *err);
    /* Passes over as many of the next n bytes as it likes without reading; how many. NULL: none. */
    uint64_t (*skip)(void *arg, uint64_t n);
    void *arg;
};

struct tar_entry {
    struct bytes path; /* verbatim */
    struct bytes link; /* the target, verbatim, of a symlink or hard link */
    bool hard_link;
    enum layer_type type; /* of a hard link, and of what isn't known (sockets, say), LAYER_NONE */
    uint32_t mode;
    uint64_t uid, gid;
    uint64_t size; /* holes included */
    int64_t mtime;
    uint32_t nanos;
    uint32_t major, minor;
    uint32_t xattrs;
    uint64_t header; /* where it begins in the tar, with all blocks that belong to it */
    uint64_t data;   /* and its first byte of data */
    bool sparse;
    const struct layer_piece *pieces; /* of a sparse file; NULL: more than LAYER_INDEX_PIECES_MAX */
    size_t pieces_n;
};

enum tar_end {
    TAR_WHOLE,
    TAR_INCOMPLETE, /* it ends early or is damaged; the entries before that were given */
    TAR_NONE,       /* no tar at all */
};

/* Calls fn for each entry, whose bytes are valid until it returns; -1 from fn stops. An empty
 * stream is a tar without entries. Nothing is read behind the end-of-archive blocks. `why` (room
 * for LAYER_INDEX_TEXT_MAX) is set unless the tar is whole. 0, or -1: fn failed, the source did, or
 * the machine. */
int tar_scan(const struct tar_source *source,
             int (*fn)(void *arg, const struct tar_entry *e, struct err *err), void *arg,
             enum tar_end *end, char *why, struct err *err);

#endif
