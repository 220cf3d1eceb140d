#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "storage/files/blob_remote.h"
#include "storage/layers/index_store.h"
#include "storage/layers/layer_scan.h"
#include "util/confined.h"
#include "util/digest.h"
#include "util/err.h"

/* A process that indexes one layer, or several small ones: a child with limits, without the
 * database. A file of it gets a name only after it has ended. The caller has the store open.
 * indexer.c decides which layers are indexed, and when.
 *
 * The limits are those of one layer, and only the first layer of a child is blamed when it passes
 * them: a later one may have been short of what others had used, and is to be tried again alone. */

/* A layer of at most this size may share a child with others, as long as it has room for more. */
#define INDEX_CHILD_SMALL ((uint64_t)128 << 10)
#define INDEX_CHILD_LAYERS_MAX 64
#define INDEX_CHILD_BYTES_MAX ((uint64_t)1 << 20)

struct index_child_bounds {
    struct layer_scan_limits scan;
    struct confined_limits child;
    char memory_text[32]; /* for people */
};
/* From the options --index-*. */
void index_child_bounds_of(struct index_child_bounds *b, const struct options *o);

struct index_child_layer {
    struct digest digest;
    struct blob_late blob; /* the layer's file */
    int out;               /* that of its index */
};

struct index_child {
    struct index_child_layer layers[INDEX_CHILD_LAYERS_MAX];
    size_t n;
    uint64_t bytes;   /* of all layers */
    unsigned seconds; /* of processor time that it may take */
    struct layer_scan_limits limits;
    const struct blob_store *blobs;
    struct index_store store;
    struct confined process;
};

/* A child without layers, which isn't started. */
void index_child_init(struct index_child *c);
/* True if a layer of this size may be added: it is the first one, or all are small. */
bool index_child_has_room(const struct index_child *c, uint64_t size);
/* Adds a layer. blob: its file, which this takes over in any case; the child fetches it if it is
 * absent. */
int index_child_add(struct index_child *c, const struct registry *reg, const struct digest *digest,
                    const struct blob_late *blob, struct err *err);
/* -1: the machine has no room, or no process for it. */
int index_child_start(struct index_child *c, const struct registry *reg,
                      const struct index_child_bounds *b, struct err *err);
/* True if it works on this layer, or will, or has. */
bool index_child_has(const struct index_child *c, const struct digest *digest);
/* Takes the layers away that it has not begun: it ends after the present one. */
void index_child_recall(struct index_child *c);

/* True once the child has ended. */
bool index_child_ended(struct index_child *c, enum confined_end *how, char why[CONFINED_WHY_MAX]);

enum index_child_end {
    INDEX_CHILD_DONE,   /* there is an index now, perhaps one with a reason instead of entries */
    INDEX_CHILD_FAILED, /* a fault of the machine: the layer's file can't be read */
    INDEX_CHILD_KILLED, /* killed from outside, or its file is no index; the cause is unknown */
    INDEX_CHILD_ALONE,  /* the child died of it, but it was not the first: index_child_retry */
    INDEX_CHILD_LEFT,   /* not begun */
};
/* How a layer of a child that has ended fared; an index gets its name. how, died: as returned by
 * index_child_ended. why: for FAILED and KILLED. -1: the machine fails. */
int index_child_take(struct index_child *c, size_t i, const struct registry *reg,
                     const struct index_child_bounds *b, enum confined_end how, const char *died,
                     enum index_child_end *end, char why[ERR_MESSAGE_MAX], struct err *err);
/* Starts `alone` with layer i of `c`, which has ended. */
int index_child_retry(struct index_child *alone, struct index_child *c, size_t i,
                      const struct registry *reg, const struct index_child_bounds *b,
                      struct err *err);
/* Gives up a layer: writes an index with the reason. */
int index_child_give_up(const struct index_child_layer *l, const struct registry *reg,
                        const char *why, struct err *err);
/* Kills the child, if it runs, and closes its files. */
void index_child_stop(struct index_child *c);
