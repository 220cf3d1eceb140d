#pragma once

#include "domain/registry.h"
#include "process/options/options.h"
#include "util/err.h"
#include "util/loop.h"

/* Reads all blobs in --scrub-days, one after the other, each in a child with idle priority and at a
 * bounded rate. A damaged one is noted, logged once, and told of (damage.h); nothing is repaired.
 */
struct scrub;

struct scrub *scrub_new(const struct options *o, const struct registry *reg, struct loop *loop);
/* Ends the child, and saves the place. */
void scrub_free(struct scrub *s);

/* Does what can be done now. Call it after each round of the loop. *told: there is a new event. */
int scrub_step(struct scrub *s, bool *told, struct err *err);
