#pragma once

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "util/err.h"

/* Reads a file's bytes from the layer's file: decodes from the nearest checkpoint, discards the
 * bytes before the data, and copies the data. The tar is not parsed. */

struct layer_read_limits {
    uint64_t distance;      /* maximum of bytes decoded and discarded, in gzip and plain layers */
    uint64_t distance_slow; /* the same in formats where checkpoints are rare */
    uint64_t wait_ms;       /* milliseconds until the first byte */
    size_t memory;          /* bytes for a decoder's window */
};
extern const struct layer_read_limits layer_read_defaults;

/* Maximal size of a sparse file with its holes; a larger one is ERR_NOT_BROWSABLE. Holes cost
 * nothing to make, but sending them occupies a worker for as long as a client reads. */
#define LAYER_READ_SPARSE_MAX ((uint64_t)64 << 30)

/* Tells whether the read would be within the limits, as far as that is known without reading.
 * Returns 0, or -1 and an error like layer_read. */
int layer_read_check(struct layer_index *x, const struct layer_entry *e, uint64_t from,
                     const struct layer_read_limits *limits, struct err *err);

/* Reads n bytes of a file from the offset `from` on; they must be within its size. layer: the
 * blob's file. x: the index of that layer, which contains e. fn gets the bytes piece by piece, and
 * stops the read by returning -1. Returns 0, or -1 and the error of fn or one of these:
 * ERR_NOT_BROWSABLE when too much would have to be read, or the layer is damaged there; ERR_CORRUPT
 * when the index is damaged; ERR_NO_FILE when the entry has no bytes. fn may have got some bytes
 * before a failure. */
int layer_read(int layer, struct layer_index *x, const struct layer_entry *e, uint64_t from,
               uint64_t n, const struct layer_read_limits *limits,
               int (*fn)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err);

/* The same for many files of a layer, one after the other. If the next file lies ahead and no
 * checkpoint is nearer, decoding continues. So a caller that reads the files in the order of their
 * data reads the layer once. layer, x and limits must stay valid. Returns NULL on failure. */
struct layer_reader;
struct layer_reader *layer_read_begin(int layer, struct layer_index *x,
                                      const struct layer_read_limits *limits);
/* Like layer_read. May be called again after a failure. */
int layer_read_more(struct layer_reader *r, const struct layer_entry *e, uint64_t from, uint64_t n,
                    int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                    struct err *err);
/* The bytes decoded up to now, for any purpose. */
uint64_t layer_read_decoded(const struct layer_reader *r);
void layer_read_end(struct layer_reader *r);
