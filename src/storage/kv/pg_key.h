#pragma once

#include "storage/kv/pg.h"

/* One key, or one record of a queue: the functions of kv_filling.h. */
int pg_key_get(struct txn *t, unsigned table, struct bytes key, bool for_update, struct buf *val,
               struct err *err);
void pg_key_expect(struct txn *t, unsigned table, struct bytes key, bool for_update);
int pg_key_put(struct txn *t, unsigned table, struct bytes key, struct bytes val, struct err *err);
int pg_key_delete(struct txn *t, unsigned table, struct bytes key, struct err *err);
int pg_key_drop(struct txn *t, unsigned table, struct bytes key, struct err *err);
int pg_key_append(struct txn *t, unsigned table, struct bytes val, struct err *err);
int pg_key_place(struct txn *t, unsigned table, struct bytes key, struct bytes val,
                 struct err *err);

/* Sends the records that were appended to queues. */
void pg_key_send_appends(struct pg *p);
void pg_key_forget_appends(struct pg *p);

/* Copies a value of a result into val, which is emptied; NULL: does nothing. 0 or -1. */
int pg_key_copy(const struct pg *p, unsigned table, const PGresult *res, int column,
                struct buf *val, struct err *err);
