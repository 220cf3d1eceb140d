#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "util/err.h"
#include "util/loop.h"

/* The keeper's part in looking into layers: has each indexed once, by children that have limits and
 * the lowest priority (util/confined.h), some at once; and tells, by an event, when the last layer
 * of an image is done. First come layers that somebody waits for, then images in the order of their
 * pushes. A layer whose child dies, or goes beyond a bound, gets an index that says so: it is done
 * as well. When the machine is in trouble (no room, no processes) the jobs stay, and it is tried
 * again, less and less often. A keeper that dies takes its children with it, and the next one
 * begins with the same jobs. */

struct indexer;

/* With the options --index-*. */
struct indexer *indexer_new(const struct options *o, const struct registry *reg, struct loop *loop);
/* Ends the children; the next keeper does their work. */
void indexer_free(struct indexer *x);

/* There may be new events or jobs. */
void indexer_poke(struct indexer *x);

/* Does what can be done now: takes over the indexes that children have made, starts others, ends
 * jobs; to be called after each round of the loop, which it has end its wait in time. *told: it has
 * put events. -1: the database or the machine fails; it tries again later. */
int indexer_step(struct indexer *x, bool *told, struct err *err);
