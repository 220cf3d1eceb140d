#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* event: sequence -> struct rec_event, a queue. Appending is a transaction's last step. */
int tbl_event_append(struct txn *t, const struct rec_event *r, struct err *err);

/* Visits the events from that sequence on. fn is like kv_range_fn. */
int tbl_event_each(struct txn *t, uint32_t from,
                   int (*fn)(uint32_t seq, const struct rec_event *r, void *arg, struct err *err),
                   void *arg, struct err *err);
/* *seq: the number of the last event, 0 when there is none. */
int tbl_event_last(struct txn *t, uint32_t *seq, struct err *err);
/* In a copy of a store: the events that are told next get greater numbers. */
int tbl_event_take_number(struct txn *t, uint32_t seq, struct err *err);
int tbl_event_drop(struct txn *t, uint32_t seq, struct err *err);
