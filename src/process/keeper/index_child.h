#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "storage/layers/layer_scan.h"
#include "util/confined.h"
#include "util/digest.h"
#include "util/err.h"

/* A process that indexes one layer: a child with limits, without the database. Its file gets a name
 * only after it has ended well. The caller has the store open. indexer.c decides which layers are
 * indexed, and when. */

struct index_child_bounds {
    struct layer_scan_limits scan;
    struct confined_limits child;
    char memory_text[32]; /* for people */
};
/* From the options --index-*. */
void index_child_bounds_of(struct index_child_bounds *b, const struct options *o);

struct index_child {
    struct digest digest; /* the layer's */
    uint64_t size;
    unsigned seconds; /* of processor time that it may take */
    int layer, out;   /* the layer's file, and the index's */
    struct layer_scan_limits limits;
    struct confined process;
};

/* Starts a child. layer: the blob's file, which this takes over in any case. -1: the machine has no
 * room, or no process for it. */
int index_child_start(struct index_child *c, const struct registry *reg,
                      const struct index_child_bounds *b, const struct digest *digest,
                      uint64_t size, int layer, struct err *err);

enum index_child_end {
    INDEX_CHILD_RUNS,
    INDEX_CHILD_DONE,   /* there is an index now, perhaps one with a reason instead of entries */
    INDEX_CHILD_FAILED, /* a fault of the machine: the layer's file can't be read */
    INDEX_CHILD_KILLED, /* killed from outside, or its file is no index; the cause is unknown */
};
/* Checks whether the child has ended, and then gives its index a name. why: for FAILED and KILLED.
 * -1: it has ended, and the machine fails. */
int index_child_ended(struct index_child *c, const struct registry *reg,
                      const struct index_child_bounds *b, enum index_child_end *end,
                      char why[ERR_MESSAGE_MAX], struct err *err);
/* Gives up a layer: writes an index with the reason. */
int index_child_give_up(const struct index_child *c, const struct registry *reg, const char *why,
                        struct err *err);
/* Kills the child, if it runs, and closes its files. */
void index_child_stop(struct index_child *c);
