#pragma once

#include <stdint.h>
#include "domain/core/repository.h"
#include "domain/registry.h"
#include "util/err.h"

/* The keeper's round. All zero at first. It holds only times and a position, so a keeper that dies
 * loses nothing. */
struct upkeep {
    uint64_t next_uploads_ms; /* clock_mono_ms() of the next look */
    uint64_t next_jobs_ms;
    uint64_t next_events_ms;
    unsigned sweep_at; /* the next directory of layers/ to sweep */
    struct repository_batch repositories;
};

/* Does one bounded step of each kind of work that is due. The keeper calls it about once a second.
 * A file that can't be removed is logged and left for the next time; -1 when the store fails. */
int upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err);
