#ifndef STORAGE_LAYER_READ_H
#define STORAGE_LAYER_READ_H

#include <stdint.h>
#include "storage/layer_index.h"
#include "util/err.h"

/* A file's bytes, out of the layer's file: decoded from the nearest checkpoint, passed over up to
 * the data, and copied. No tar is parsed. */

struct layer_read_limits {
    uint64_t distance;      /* bytes that may be decoded in vain, in gzip and plain layers: ... */
    uint64_t distance_slow; /* ... and in formats where checkpoints are rare */
    uint64_t wait_ms;       /* until the first byte */
    size_t memory;          /* for a decoder's window */
};
extern const struct layer_read_limits layer_read_defaults;

/* Whether that would be within the limits, as far as can be told without reading. 0, or -1 as
 * layer_read. */
int layer_read_check(struct layer_index *x, const struct layer_entry *e, uint64_t from,
                     const struct layer_read_limits *limits, struct err *err);

/* The bytes from `from` on, n of them, of a file: within its size. layer: the blob's file; x: the
 * index of that layer, from which e is. fn gets them piece by piece; -1 from it stops. 0; -1:
 * ERR_NOT_BROWSABLE, the way is too long, or the layer is damaged there; ERR_CORRUPT, the index is;
 * ERR_NO_FILE, it has no bytes; or fn's. Some bytes may have come before. */
int layer_read(int layer, struct layer_index *x, const struct layer_entry *e, uint64_t from,
               uint64_t n, const struct layer_read_limits *limits,
               int (*fn)(void *arg, struct bytes b, struct err *err), void *arg, struct err *err);

#endif
