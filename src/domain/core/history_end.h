#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/tables/tbl_tag_log.h"
#include "util/digest.h"
#include "util/err.h"

/* The end of what the histories of tags keep (history.h). */

/* The history of a deleted tag goes after this time, or after --history-keep if that is longer. */
#define HISTORY_END_DELETED_MS (UINT64_C(30) * 24 * 3600 * 1000)

/* The work of a job JOB_HISTORY: removes the edges to d whose time is over, and then d from the
 * trash, unless something else keeps it there. 1: there is more to do; 0; -1. */
int history_end_due(const struct registry *reg, const struct digest *d, struct err *err);

/* Ends at once all that the history of this tag keeps, also in the trash. Manifests that another
 * tag, its history or an index keeps stay. The moves stay, too, with their actors. 0 or -1. */
int history_end_tag(const struct registry *reg, uint64_t repo, const char *tag, struct err *err);

/* One step of a walk over the histories of all tags, which removes those of deleted tags when their
 * time is over. at: all zero at first. */
int history_end_trim(const struct registry *reg, struct tag_log_place *at, struct err *err);
