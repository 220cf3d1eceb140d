#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/inside/index_job.h"
#include "process/keeper/index_child.h"
#include "util/loop.h"

/* The children that index layers, as many at once as --index-jobs says, and one that is being
 * filled with layers before it is started. */

struct index_pool_child {
    struct index_child child;
    uint64_t recall_at; /* clock_mono_ms(); UINT64_MAX: it was recalled, or has one layer */
    bool urgent;        /* a request waits; all its layers are of one repository */
    char repository[RECORD_REPOSITORY_MAX + 1];
};

struct index_pool {
    const struct registry *reg;
    struct index_child_bounds bounds;
    struct index_pool_child *running; /* behind them, if `filling`, the one that is being filled */
    struct loop_fd *ended;            /* of those that run */
    size_t n, jobs;
    bool filling;
    uint64_t done; /* layers that children have ended */
};

void index_pool_init(struct index_pool *p, const struct options *o, const struct registry *reg,
                     struct loop *loop);
/* Ends the children. */
void index_pool_free(struct index_pool *p);

/* True if a child has this layer. */
bool index_pool_has(const struct index_pool *p, const struct digest *layer);
/* True if no child can be started, and none is being filled. */
bool index_pool_is_full(const struct index_pool *p);

/* Is there room for a layer of the job? One that a request waits for goes only into a child with
 * those of its own repository, others only with others. */
bool index_pool_has_room(const struct index_pool *p, const struct index_job *j, uint64_t size);
/* Gives a layer to a child, when there is room for it. blob: its file, which this takes over in any
 * case. */
int index_pool_give(struct index_pool *p, const struct index_job *j, const struct digest *layer,
                    const struct blob_late *blob, struct err *err);
/* Starts the child that is being filled, if there is one. */
int index_pool_start(struct index_pool *p, struct err *err);

/* Makes way for the layer that a request waits for: layers that a child has not begun are taken
 * back from it, if it has this one, or if no child can be started. */
void index_pool_make_way(struct index_pool *p, const struct digest *layer);
/* Takes back the layers of children that have taken long. True if there were any. */
bool index_pool_recall_slow(struct index_pool *p);

/* Takes over what the children that have ended made. Calls fn for each layer, but not for one that
 * was not begun, or that is tried again. True if one has ended. *rc becomes -1 when fn failed, or
 * the machine. */
typedef int index_pool_fn(void *arg, const struct index_child_layer *l, enum index_child_end end,
                          const char *why, struct err *err);
bool index_pool_reap(struct index_pool *p, index_pool_fn *fn, void *arg, int *rc, struct err *err);

/* Has the loop wake up when a child ends, and the timer run out when one takes long. */
void index_pool_watch(struct index_pool *p, struct loop_timer *due);
