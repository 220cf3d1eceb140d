#ifndef STORAGE_TABLES_TBL_EVENT_H
#define STORAGE_TABLES_TBL_EVENT_H

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* event: sequence -> struct rec_event, a queue. The last thing that a transaction does. */
int tbl_event_append(struct txn *t, const struct rec_event *r, struct err *err);

/* Visits the events from that sequence on. fn as kv_range_fn has it. */
int tbl_event_each(struct txn *t, uint32_t from,
                   int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err),
                   void *arg, struct err *err);
/* *seq: the number of the last event, 0 when there is none. */
int tbl_event_last(struct txn *t, uint32_t *seq, struct err *err);
int tbl_event_delete(struct txn *t, uint32_t seq, struct err *err);

#endif
