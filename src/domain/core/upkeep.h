#pragma once

#include <stdint.h>
#include "domain/core/repository.h"
#include "domain/registry.h"
#include "util/err.h"

/* The keeper's round. All zero at first. It holds only times and a position, so a keeper that dies
 * loses nothing. */
struct upkeep {
    uint64_t next_uploads_ms; /* clock_mono_ms() of the next look */
    uint64_t next_bodies_ms;
    uint64_t next_jobs_ms;
    uint64_t next_events_ms;
    uint64_t next_sweep_ms;
    unsigned sweep_at; /* the next directory of layers/ to sweep */
    struct repository_batch repositories;
};

/* nginx was started again: it may have left bodies behind. */
void upkeep_look_for_bodies(struct upkeep *u);

/* Does one bounded step of each kind of work that is due. Call it once a second, and at
 * next_jobs_ms, which is earlier while there is much garbage.
 * A file that can't be removed is logged and left for the next time; -1 when the store fails. */
int upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err);
