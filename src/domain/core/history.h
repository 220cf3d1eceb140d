#pragma once

#include <stdint.h>
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "util/digest.h"
#include "util/err.h"

/* The history of a tag (table tag_log) tells its last TAG_LOG_KEPT moves. Each move keeps the
 * former target for --history-keep by an edge EDGE_HISTORY, so that the move can be undone, also
 * after the manifest was deleted (trash.h). A job JOB_HISTORY removes the edge when its time is
 * over (history_end.h). */

/* The time from which on a move at `time` no longer keeps its former target. */
uint64_t history_until(const struct registry *reg, uint64_t time);

/* The time of the job that removes the edge of a move at `time`. */
uint64_t history_over(const struct registry *reg, uint64_t time);

/* Adds the job that looks at d when that time is over, or now: to be called in the transaction that
 * puts an edge EDGE_HISTORY to d, or puts d into the trash. */
int history_look_at(struct txn *t, const struct registry *reg, const struct digest *d,
                    uint64_t until, struct err *err);
int history_look_now(struct txn *t, const struct digest *d, uint64_t now, struct err *err);
