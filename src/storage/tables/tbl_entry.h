#pragma once

#include "storage/kv/kv.h"
#include "storage/tables/record.h"

/* Entries of any table, for a check and for a copy of all of them. */

/* The record that the table has; NULL: its values are documents. */
const struct record *tbl_entry_record(enum table table);

/* Puts an entry of another store, as it is; into a queue under its number (kv_place). */
int tbl_entry_put(struct txn *t, enum table table, struct bytes key, struct bytes val,
                  struct err *err);

/* Deletes an entry, and nothing that belongs to it. */
int tbl_entry_drop(struct txn *t, enum table table, struct bytes key, struct err *err);
