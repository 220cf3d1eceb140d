#ifndef STORAGE_TABLES_TBL_META_H
#define STORAGE_TABLES_TBL_META_H

#include "storage/kv/kv.h"

/* meta: name -> number. What there is once a store. */
#define META_FORMAT "format"          /* the version of all the record formats */
#define META_NEXT_REPO "next-repo-id" /* repository ids are never used again */
/* Numbers of events: up to which each was told (log, listeners), up to which each has its row in
 * table hook if it needs one, up to which each image has its job to be indexed, up to which they
 * were trimmed. */
#define META_EVENTS_TOLD "events-told"
#define META_EVENTS_QUEUED "events-queued"
#define META_EVENTS_INDEXED "events-indexed"
#define META_EVENTS_TRIMMED "events-trimmed"

#define STORE_FORMAT 1

int tbl_meta_get(struct txn *t, const char *name, uint64_t *value, struct err *err);
int tbl_meta_put(struct txn *t, const char *name, uint64_t value, struct err *err);
/* The number that stands there (1 at first), and one more is written. */
int tbl_meta_take_next(struct txn *t, const char *name, uint64_t *value, struct err *err);

#endif
