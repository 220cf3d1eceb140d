#pragma once

#include <stdint.h>
#include "domain/access/access.h"
#include "domain/registry.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* Events go into the outbox within the transaction of the change that they report. */

/* An event of this moment, about that repository ("" for none), by that actor. The caller sets the
 * other members. */
struct rec_event event_of(enum event_type type, const char *repository, const struct actor *actor);

/* Puts an event into the outbox. Must be the last step of the transaction, because the outbox is a
 * queue, on which all writers meet. Does nothing for a quiet actor. */
int event_tell(struct txn *t, const struct actor *actor, const struct rec_event *e,
               struct err *err);

/* The most events that the keeper keeps, about a gigabyte. */
#define EVENT_KEPT_MAX 1000000

/* Deletes events that are older than keep_ms, and all but the last `max`; a bounded number in each
 * call. Keeps those that are still to be told or to be queued for a hook (outbox.h), or whose image
 * is still to be indexed (index_job.h). 1: there may be more; 0; -1. */
int event_trim(const struct registry *reg, uint64_t keep_ms, uint32_t max, struct err *err);
