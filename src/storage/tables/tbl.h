#ifndef STORAGE_TABLES_TBL_H
#define STORAGE_TABLES_TBL_H

#include <stdbool.h>
#include "storage/tables/key.h"
#include "storage/kv/kv.h"
#include "storage/tables/tables.h"

/* What the tbl_*.c have in common: one record in, one record out. */

/* The longest record that is no document. */
#define TBL_RECORD_MAX 2048

/* Initialises val with that maximum and reads into it: 1, 0, -1. The caller frees val in each case.
 */
int tbl_fetch(struct txn *t, enum table table, const struct key *k, bool for_update, size_t max,
              struct buf *val, struct err *err);

/* Puts the encoded record and frees val. */
int tbl_store(struct txn *t, enum table table, const struct key *k, struct buf *val,
              struct err *err);

/* For a visitor: a record that can't be read is told, and passed over. Returns 0. */
int tbl_skip(const struct err *err);

#endif
