#ifndef STORAGE_LAYERS_LAYER_READ_H
#define STORAGE_LAYERS_LAYER_READ_H

#include <stdint.h>
#include "storage/layers/layer_index.h"
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

/* What a sparse file may have with its holes; a larger one is ERR_NOT_BROWSABLE. Holes cost whoever
 * makes them nothing, and whoever sends them a worker for as long as there is a reader. */
#define LAYER_READ_SPARSE_MAX ((uint64_t)64 << 30)

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

/* The same for many files of a layer, one after the other: where the next one lies ahead, and no
 * checkpoint is nearer, decoding just goes on. So who reads them in the order of their data reads
 * the layer once. layer, x and limits have to stay. NULL: failed. */
struct layer_reader;
struct layer_reader *layer_read_begin(int layer, struct layer_index *x,
                                      const struct layer_read_limits *limits);
/* As layer_read. It may be called again after it failed. */
int layer_read_more(struct layer_reader *r, const struct layer_entry *e, uint64_t from, uint64_t n,
                    int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                    struct err *err);
/* How many bytes were decoded so far, for whatever reason. */
uint64_t layer_read_decoded(const struct layer_reader *r);
void layer_read_end(struct layer_reader *r);

#endif
