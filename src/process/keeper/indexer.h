#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "util/err.h"
#include "util/loop.h"

/* Indexes layers, as work of the keeper: each layer once, by several children with limits and the
 * lowest priority (util/confined.h). Small layers share a child. When the last layer of an image is
 * done, it appends an event. Layers that a request waits for come first, then images in the order
 * of their pushes. Repositories and users take turns: those with the most recent jobs come last.
 *
 * A layer whose child dies or exceeds a limit gets an index with the reason, so it is done as well.
 * If the machine is in trouble (no space, no processes), the jobs stay and are tried again, at
 * growing intervals. If the keeper dies, its children die too, and the next keeper starts with the
 * same jobs. */

struct indexer;

/* With the options --index-*. */
struct indexer *indexer_new(const struct options *o, const struct registry *reg, struct loop *loop);
/* Ends the children; the next keeper does their work. */
void indexer_free(struct indexer *x);

/* Tells it that there may be new events: it reads them in some hundred milliseconds, many at once.
 */
void indexer_poke(struct indexer *x);
/* Tells it that a request may wait for an index: it looks at once. */
void indexer_hurry(struct indexer *x);

/* How it gets on. */
struct indexer_state {
    size_t running;  /* children */
    uint64_t ended;  /* layers that were taken from children */
    unsigned pauses; /* failures in a row, of the machine or the database */
};
void indexer_look(const struct indexer *x, struct indexer_state *out);

/* Does what can be done now: takes over finished indexes, starts children, ends jobs. Call it after
 * each round of the loop; it sets the loop's timers. *told: events were written. -1: the database
 * or the machine fails; the next call tries again later. */
int indexer_step(struct indexer *x, bool *told, struct err *err);
