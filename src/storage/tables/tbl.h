#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/key.h"
#include "storage/tables/record.h"

/* Reads and writes any record, for the tbl_*.c files, which add the types. r points to the struct
 * of the record's kind. */

/* 1, 0, -1. r NULL: only tells whether the record exists. */
int tbl_get(struct txn *t, const struct record *record, struct key key, void *r, struct err *err);
int tbl_get_for_update(struct txn *t, const struct record *record, struct key key, void *r,
                       struct err *err);

/* Announce a read (kv_expect). */
void tbl_expect(struct txn *t, const struct record *record, struct key key);
void tbl_expect_for_update(struct txn *t, const struct record *record, struct key key);

int tbl_put(struct txn *t, const struct record *record, struct key key, const void *r,
            struct err *err);
/* Appends to a queue. */
int tbl_append(struct txn *t, const struct record *record, const void *r, struct err *err);

/* 1: deleted, 0: it wasn't there, -1. */
int tbl_delete(struct txn *t, const struct record *record, struct key key, struct err *err);
/* The same without the answer: 0, -1. */
int tbl_drop(struct txn *t, const struct record *record, struct key key, struct err *err);

/* Called for one entry: its key, to be read from the front, and its record. Returns as kv_range_fn,
 * or TBL_BAD_KEY. */
typedef int tbl_visit_fn(struct unpack *key, const void *r, void *arg, struct err *err);
#define TBL_BAD_KEY 2

/* Visits the entries of a range. An entry that can't be read is logged and skipped. */
int tbl_each(struct txn *t, const struct record *record, const struct kv_range *range,
             tbl_visit_fn *fn, void *arg, struct err *err);
