#pragma once

#include "storage/kv/pg.h"

/* The connection: statements go out, and flights wait for their results. */

/* While the database doesn't answer, reads and the beginnings of transactions wait this long. */
#define PG_PATIENCE_MS 5000

/* Not connected yet. */
struct pg *pg_link_new(const char *address, const struct kv_table *tables, size_t n);
void pg_link_free(struct pg *p);

/* Connects if it isn't connected, or if the server has closed the connection. 0; -1: it didn't
 * succeed within PG_PATIENCE_MS. ERR_UNSUPPORTED, for p->is_start: the server refused the user, the
 * password, or the name of the database. */
int pg_link_open(struct pg *p, struct err *err);
void pg_link_close(struct pg *p);
/* Is there a connection, as far as this machine knows? */
bool pg_link_is_open(const struct pg *p);

/* Send without waiting. A failure shows in the next flight. */
void pg_link_say(struct pg *p, enum pg_want want, const char *text);
/* The same with parameters, which are texts. */
void pg_link_say_with(struct pg *p, enum pg_want want, const char *text, const char *const *params,
                      int n);
void pg_link_prepare(struct pg *p, unsigned number, const char *name, const char *text);
/* Runs a prepared statement. Parameters and results are in binary form. */
void pg_link_execute(struct pg *p, enum pg_want want, unsigned number, const char *name,
                     const struct bytes *params, int n);
/* Ends a group of statements, and hands to the kernel what was sent. */
void pg_link_sync(struct pg *p);

/* Ends the group, and waits for all results. *out: that of the statement that is PG_WANTED, to be
 * cleared by the caller; NULL on failure. out may be NULL. -1: the first failure. If the connection
 * is lost, p->conn is NULL then, and p->is_doubtful tells whether a commit may have been done. */
int pg_link_flight(struct pg *p, PGresult **out, struct err *err);
