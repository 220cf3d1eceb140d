#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "storage/layers/layer_entry.h"
#include "storage/layers/layer_index.h"
#include "util/bytes.h"
#include "util/err.h"

/* Reads the entries of a tar (v7, ustar, GNU, pax) in their order from its uncompressed bytes.
 * libarchive parses it, which can take hundreds of megabytes for a small file, and ends the process
 * when there is no memory. So call this only in a process that has limits and holds nothing of
 * value. The process must be in the C locale, or names would be changed. */

/* The source of the bytes. */
struct tar_source {
    /* Gives the next bytes, valid until the next call. Returns 1, 0 at the end, -1. */
    int (*pull)(void *arg, struct bytes *out, struct err *err);
    /* Skips up to n of the next bytes without reading them, and returns how many. NULL: skips none.
     */
    uint64_t (*skip)(void *arg, uint64_t n);
    void *arg;
};

struct tar_entry {
    struct bytes path; /* as in the tar */
    struct bytes link; /* target of a symlink or hard link, as in the tar */
    bool hard_link;
    enum layer_type
        type; /* LAYER_NONE for a hard link, and for unknown types (sockets, for example) */
    uint32_t mode;
    uint64_t uid, gid;
    uint64_t size; /* including holes */
    int64_t mtime;
    uint32_t nanos;
    uint32_t major, minor;
    uint32_t xattrs;
    uint64_t data; /* position of its first byte of data */
    bool sparse;
    const struct layer_piece
        *pieces; /* of a sparse file; NULL: there are more than LAYER_INDEX_PIECES_MAX */
    size_t pieces_n;
};

enum tar_end {
    TAR_WHOLE,
    TAR_INCOMPLETE, /* it ends early or is damaged; fn got the entries before that */
    TAR_NONE,       /* not a tar */
};

/* Loads the library that scans, which otherwise happens at the first scan: each child that is
 * forked then has it. Returns 0 or -1. */
int tar_scan_prepare(struct err *err);

/* Calls fn for each entry, whose bytes are valid until it returns; fn stops the scan with -1. An
 * empty stream is a tar without entries. Bytes behind the end-of-archive blocks are not read. `why`
 * (room for LAYER_INDEX_TEXT_MAX) is set unless the tar is whole. Returns 0, or -1 when fn, the
 * source or the machine failed. */
int tar_scan(const struct tar_source *source,
             int (*fn)(void *arg, const struct tar_entry *e, struct err *err), void *arg,
             enum tar_end *end, char *why, struct err *err);
