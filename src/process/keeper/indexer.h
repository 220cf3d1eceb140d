#ifndef PROCESS_KEEPER_INDEXER_H
#define PROCESS_KEEPER_INDEXER_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "domain/registry.h"
#include "process/options/options.h"
#include "util/err.h"

/* The keeper's part in looking into layers: has each indexed once, by children that have limits and
 * the lowest priority (util/confined.h), some at once; and tells, by an event, when the last layer
 * of an image is done. First come layers that somebody waits for, then images in the order of their
 * pushes. A layer whose child dies, or goes beyond a bound, gets an index that says so: it is done
 * as well. When the machine is in trouble (no room, no processes) the jobs stay, and it is tried
 * again, less and less often. A keeper that dies takes its children with it, and the next one
 * begins with the same jobs. */

struct indexer;

/* The options --index-*. NULL: no memory. */
struct indexer *indexer_new(const struct options *o, const struct registry *reg, struct err *err);
/* Ends the children; what they were at is to be done by the next keeper. */
void indexer_free(struct indexer *x);

/* There may be new events or jobs. */
void indexer_poke(struct indexer *x);

/* Does what can be done now: takes in what children have made, starts others, ends jobs. *told: it
 * has put events. -1: the database or the machine failed; it is tried again later. */
int indexer_step(struct indexer *x, bool *told, struct err *err);

/* What to wait for, besides being poked: up to INDEXER_POLL_MAX descriptors into fds; how many. */
#define INDEXER_POLL_MAX OPTIONS_COUNT_MAX
size_t indexer_poll(const struct indexer *x, struct pollfd *fds);
uint64_t indexer_wait_ms(const struct indexer *x);

#endif
