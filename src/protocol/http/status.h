#pragma once

#include "protocol/http/call.h"

/* Paths that tell how the server is. Their handlers never wait for the database. */

/* GET /metrics: the numbers of all processes, for those whom --metrics-from permits. */
call_handler status_metrics;

/* GET /readyz: 200, or 503 while a part of the server can't work. Those who may read /metrics also
 * learn which part, and why. */
call_handler status_ready;
