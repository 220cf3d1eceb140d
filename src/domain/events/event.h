#ifndef DOMAIN_EVENTS_EVENT_H
#define DOMAIN_EVENTS_EVENT_H

#include "domain/access/access.h"
#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* Events go into the outbox in the transaction of what they tell of, as its last act. */

/* An event of now, about that repository, by that actor; the caller fills in the rest. */
struct rec_event event_of(enum event_type type, const char *repository, const struct actor *actor);

/* Drops the events that are older than keep_ms, a bounded number at a time; never one that is still
 * to be told, or to be queued for its hook (outbox.h), or to be indexed (index_job.h). */
int event_trim(const struct registry *reg, uint64_t keep_ms, struct err *err);

#endif
