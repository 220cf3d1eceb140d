#ifndef PROTOCOL_HTTP_HEALTH_H
#define PROTOCOL_HTTP_HEALTH_H

#include "protocol/http/call.h"

/* What belongs to neither API. */

/* GET /: who this is, and since when, as the original says it. */
call_handler health_root;

/* How long ago that is, in the original's words: "just now", "5 minutes ago", "yesterday". Not
 * longer than HEALTH_AGE_MAX with its NUL. */
#define HEALTH_AGE_MAX 40
void health_age(char out[HEALTH_AGE_MAX], uint64_t ms);

/* GET /healthz: 200 and "ok", or 503 when the database can't be read. */
call_handler health_check;

#endif
