#ifndef DOMAIN_CORE_UPKEEP_H
#define DOMAIN_CORE_UPKEEP_H

#include <stdint.h>
#include "domain/registry.h"
#include "util/err.h"

/* The keeper's round. Zeroed at first; what it remembers is only where it got to, so a keeper that
 * dies loses nothing. */
struct upkeep {
    uint64_t next_uploads_ms; /* clock_mono_ms() of the next look */
    uint64_t next_jobs_ms;
    uint64_t next_events_ms;
    unsigned sweep_at; /* the next directory of layers/ to sweep */
};

/* What the keeper does between two looks at the clock: one bounded step of each kind of work that
 * is due. Called about once a second. A thing that fails is logged and left for the next time, so
 * that one bad record stops nobody; -1 only when the store itself fails. */
int upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err);

#endif
