#pragma once

#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "storage/layers/layer_read.h"
#include "util/bytes.h"
#include "util/err.h"

/* Reads many files of an image, for answers that go through all of it. The decoders keep their
 * place, so that the next file costs only the distance to it. The distance to one file isn't
 * limited, as it is in layer_read, but the sum of all is. */

/* Limit of the bytes decoded for one request, if the caller names none. */
#define LAYER_FILES_MAX (UINT64_C(256) << 30)

#define LAYER_FILES_OPEN 4

struct layer_files {
    struct layer_merge *merge;
    /* Opens the blob of merge->layers[layer]: a descriptor that the callee closes, or -1. */
    int (*blob)(void *arg, size_t layer, struct err *err);
    /* Replaces the damaged indexes after ERR_CORRUPT. 0: the caller may start again or continue;
     * earlier nodes and lists are invalid. -1: nothing can be done. NULL: indexes can't be
     * replaced. */
    int (*mend)(void *arg, struct err *err);
    void *arg;
    uint64_t max; /* bytes that may be decoded; 0: LAYER_FILES_MAX */

    /* zero at first */
    struct layer_files_one {
        struct layer_reader *reader; /* NULL: free */
        int fd;
        size_t layer;
        uint64_t used;
    } open[LAYER_FILES_OPEN];
    uint64_t calls, decoded;
};

/* As layer_read, for a node of the merged tree. ERR_NOT_BROWSABLE also above the limit. */
int layer_files_read(struct layer_files *f, const struct layer_merge_node *node, uint64_t from,
                     uint64_t n, int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                     struct err *err);
/* After an error: 0 if it was a damaged index, which is replaced now; otherwise -1. */
int layer_files_mend(struct layer_files *f, struct err *err);
void layer_files_close(struct layer_files *f);
