#pragma once

#include "storage/kv/bdb.h"

/* The functions of struct kv_filling. */
struct kv_cursor *bdb_cursor_open(struct txn *t, unsigned table, struct err *err);
void bdb_cursor_close(struct kv_cursor *c);
int bdb_cursor_seek(struct kv_cursor *c, struct err *err);
int bdb_cursor_next(struct kv_cursor *c, struct err *err);
int bdb_cursor_last(struct txn *t, unsigned table, struct bytes prefix, struct buf *key,
                    struct buf *val, struct err *err);

/* Frees the locks of all cursors outside transactions; the cursors find their places again. Called
 * before a read outside a transaction is repeated after a conflict, since the winner may be waiting
 * for these locks. */
void bdb_cursor_release_all(struct bdb *b);
