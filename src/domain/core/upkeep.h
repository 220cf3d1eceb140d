#pragma once

#include <stdbool.h>
#include <stdint.h>
#include "domain/core/repository.h"
#include "domain/core/untagged.h"
#include "domain/registry.h"
#include "storage/tables/tbl_tag_log.h"
#include "util/err.h"

/* The keeper's background work. All zero at first. This state has only times and positions, so
 * nothing is lost when the keeper dies. */
struct upkeep {
    uint64_t next_uploads_ms; /* clock_mono_ms() of the next look */
    uint64_t next_bodies_ms;
    uint64_t next_jobs_ms;    /* the next look for garbage, whether or not a job is due, */
    uint64_t next_collect_ms; /* and not before this time if one is due */
    uint64_t wake_ms;         /* the next time at which upkeep_step must be called for garbage */
    uint64_t next_events_ms;
    uint64_t next_sweep_ms;
    uint64_t next_untagged_ms;
    struct untagged_walk untagged;
    bool named;        /* repository_name_all has been called */
    unsigned sweep_at; /* the next directory of layers/ to sweep */
    uint64_t next_copies_ms;
    unsigned copies_at; /* the next part of cache/ */
    struct repository_batch repositories;
    struct tag_log_place histories;
};

/* Removes at the next step what nginx may have left behind; called when nginx was started again. */
void upkeep_look_for_bodies(struct upkeep *u);

/* The part of the next function that each node does, since uploads, and copies of objects, are in
 * its data directory. A failure is logged. */
void upkeep_step_own(struct upkeep *u, const struct registry *reg);

/* Does one bounded step of each kind of work that is due. Call it every few seconds, and at
 * wake_ms. A file that can't be removed is logged and left for the next time; -1 when the store
 * fails. */
int upkeep_step(struct upkeep *u, const struct registry *reg, struct err *err);
