#pragma once

#include "storage/kv/pg.h"

/* Ranges: the functions of kv_filling.h. */
struct kv_cursor *pg_cursor_open(struct txn *t, unsigned table, struct err *err);
void pg_cursor_close(struct kv_cursor *base);
int pg_cursor_seek(struct kv_cursor *base, struct err *err);
int pg_cursor_next(struct kv_cursor *base, struct err *err);
void pg_cursor_expect(struct txn *t, enum kv_read how, unsigned table,
                      const struct kv_range *range);
int pg_cursor_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key,
                   struct buf *val, struct err *err);
