#pragma once

#include "protocol/http/call.h"

/* Paths that belong to neither API. */

/* GET /: the name of the server and how long it has run, in the original's words. */
call_handler health_root;

/* A span of time in the original's words: "just now", "5 minutes ago", "yesterday". At most
 * HEALTH_AGE_MAX bytes with the NUL. */
#define HEALTH_AGE_MAX 40
void health_age(char out[HEALTH_AGE_MAX], uint64_t ms);

/* GET /healthz: 200 and "ok"; or 503 with the reason (store_check). */
call_handler health_check;
