#pragma once

#include <stdint.h>
#include "storage/layers/layer_index.h"
#include "storage/layers/layer_tree.h"
#include "util/err.h"

/* Makes the index of a layer's file in one pass. It parses untrusted input, so it belongs into a
 * child process that has resource limits and no open database. */

struct layer_scan_limits {
    struct layer_limits tree;
    uint64_t output; /* maximum of uncompressed bytes */
    uint64_t ratio;  /* the same as a multiple of the compressed bytes, plus `slack` */
    uint64_t slack;
    size_t memory;    /* bytes for a decoder's window */
    uint64_t spacing; /* uncompressed bytes between checkpoints */
};

/* Limits that no image made for use passes. */
extern const struct layer_scan_limits layer_scan_defaults;

/* layer: the blob's file, read from its offset 0. digest: the blob's digest. out: an empty file,
 * open for reading and writing; the caller syncs and names it. An index is made for any layer; the
 * index of a layer that isn't browsable says why. info: the record that was written. Returns 0, or
 * -1 when the machine failed. */
int layer_scan(int layer, const struct digest *digest, int out,
               const struct layer_scan_limits *limits, struct layer_info *info, struct err *err);
