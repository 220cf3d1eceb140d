#pragma once

#include "storage/kv/pg.h"

/* Sends a statement of a table, which it prepares if this is its first use in the connection. In a
 * transaction that hasn't begun it begins that. number: for PG_FETCHED. */
void pg_statement_send(struct pg *p, enum pg_want want, unsigned number, enum pg_statement s,
                       unsigned table, const struct bytes *params, int n);

/* Sends what begins the transaction. */
void pg_statement_begin(struct pg *p);

/* Announces a statement that pg_statement_ask will send: the next flight fetches its result. */
void pg_statement_expect(struct pg *p, enum pg_statement s, unsigned table,
                         const struct bytes *params, int n);
/* A key of the table is written: what was announced may have another result then. */
void pg_statement_note_change(struct pg *p, unsigned table, struct bytes key);
void pg_statement_expect_end(struct pg *p);

/* Sends a statement that returns its result, and waits for it, unless it was announced and is
 * there. Outside a transaction, it is sent again when the connection was lost, for PG_PATIENCE_MS.
 * 0 or -1; the caller clears *out. */
int pg_statement_ask(struct txn *t, enum pg_statement s, unsigned table, const struct bytes *params,
                     int n, PGresult **out, struct err *err);

/* The parameter for a key of the table. number: memory of 8 bytes. */
struct bytes pg_statement_key(const struct pg *p, unsigned table, struct bytes key,
                              uint8_t *number);
