#pragma once

#include <stdint.h>
#include "domain/inside/layer_merge.h"
#include "storage/layers/layer_read.h"
#include "util/bytes.h"
#include "util/err.h"

/* Reading one file of an image after the other, for answers that go through all of it. Decoders
 * stay where they are, so what lies ahead in a layer costs only the way to it. There is no limit on
 * that way, as there is for a file alone, but one on all of it. */

/* Bytes that are decoded for one request, at most. */
#define LAYER_FILES_MAX (UINT64_C(256) << 30)

#define LAYER_FILES_OPEN 4

struct layer_files {
    struct layer_merge *merge;
    /* The blob of merge->layers[layer]: a descriptor that is then ours, or -1. */
    int (*blob)(void *arg, size_t layer, struct err *err);
    /* *err is ERR_CORRUPT: an index is damaged. Has the indexes made anew, so that all can be begun
     * again, or gone on with: 0; -1: nothing can be done. NULL: that can't be done. Behind this the
     * nodes and lists of before are no more. */
    int (*mend)(void *arg, struct err *err);
    void *arg;

    /* zero at first */
    struct layer_files_one {
        struct layer_reader *reader; /* NULL: free */
        int fd;
        size_t layer;
        uint64_t used;
    } open[LAYER_FILES_OPEN];
    uint64_t calls, decoded;
};

/* As layer_read, of a node of the merged tree. ERR_NOT_BROWSABLE too when the bound is passed. */
int layer_files_read(struct layer_files *f, const struct layer_merge_node *node, uint64_t from,
                     uint64_t n, int (*fn)(void *arg, struct bytes b, struct err *err), void *arg,
                     struct err *err);
/* Something failed with *err: 0 when it was a damaged index, and is mended; else -1. */
int layer_files_mend(struct layer_files *f, struct err *err);
void layer_files_close(struct layer_files *f);
