#ifndef STORAGE_LAYERS_LAYER_SCAN_H
#define STORAGE_LAYERS_LAYER_SCAN_H

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "storage/layers/layer_tree.h"
#include "util/err.h"

/* From a layer's file to its index, in one pass. Parses what strangers sent: for a child that has
 * resource limits, and no database open. */

struct layer_scan_limits {
    struct layer_limits tree;
    uint64_t output; /* uncompressed bytes: at most so many, */
    uint64_t ratio;  /* and at most ratio times the compressed ones, and `slack` */
    uint64_t slack;
    size_t memory;    /* for a decoder's window */
    uint64_t spacing; /* of checkpoints, in uncompressed bytes */
};

/* Bounds that every image which somebody made to be run keeps. */
extern const struct layer_scan_limits layer_scan_defaults;

/* layer: the blob's file, from its offset 0; digest: the blob's. out: an empty file, open for
 * reading and writing; whoever calls makes it durable and gives it its name. Whatever the layer is,
 * an index is made; one that isn't browsable says why. info: what was written. 0, or -1: the
 * machine failed. */
int layer_scan(int layer, const struct digest *digest, int out,
               const struct layer_scan_limits *limits, struct layer_info *info, struct err *err);

#endif
