#ifndef PROTOCOL_SERVER_H
#define PROTOCOL_SERVER_H

#include "protocol/call.h"

/* What belongs to neither API. */

/* GET /: who this is, and since when, as the original says it. */
call_handler server_root;

/* How long ago that is, in the original's words: "just now", "5 minutes ago", "yesterday". Not
 * longer than SERVER_AGE_MAX with its NUL. */
#define SERVER_AGE_MAX 40
void server_age(char out[SERVER_AGE_MAX], uint64_t ms);

/* GET /healthz: 200 and "ok", or 503 when the database can't be read. */
call_handler server_health;

#endif
