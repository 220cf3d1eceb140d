#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "storage/layers/layer_scan.h"
#include "util/confined.h"
#include "util/digest.h"
#include "util/err.h"

/* A process that indexes one layer: a child with limits, without the database, whose file has no
 * name before it has ended well. Called by whoever has the store open, and only starts and ends
 * them; which, and when, is indexer's business. */

struct index_child_bounds {
    struct layer_scan_limits scan;
    struct confined_limits child;
    char time_text[32], memory_text[32]; /* for people */
};
/* As the options --index-* have them. */
void index_child_bounds_of(struct index_child_bounds *b, const struct options *o);

struct index_child {
    struct digest digest; /* the layer's */
    uint64_t size;
    int layer, out; /* its file, and that of the index */
    struct layer_scan_limits limits;
    struct confined process;
};

/* layer: the blob's file, which becomes the child's in any case. -1: the machine has no room, or no
 * process for it. */
int index_child_start(struct index_child *c, const struct registry *reg,
                      const struct index_child_bounds *b, const struct digest *digest,
                      uint64_t size, int layer, struct err *err);

enum index_child_end {
    INDEX_CHILD_RUNS,
    INDEX_CHILD_DONE,   /* there is an index now, be it one that says why there is none */
    INDEX_CHILD_FAILED, /* by the machine's fault: the layer's file can't be read */
    INDEX_CHILD_KILLED, /* by somebody, or what it wrote is no index: whose fault, who knows */
};
/* Has it ended? Then what it has made gets its name. why: of FAILED and KILLED. -1: it has, and the
 * machine fails. */
int index_child_ended(struct index_child *c, const struct registry *reg,
                      const struct index_child_bounds *b, enum index_child_end *end,
                      char why[ERR_MESSAGE_MAX], struct err *err);
/* Nobody tries it any more: writes an index that says why. */
int index_child_give_up(const struct index_child *c, const struct registry *reg, const char *why,
                        struct err *err);
/* Ends it, if it runs, and closes its files. */
void index_child_stop(struct index_child *c);
