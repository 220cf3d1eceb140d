#pragma once

#include "protocol/http/call.h"

/* GET /v1/events: an endless stream of JSON objects, one a line, or of server-sent events (WHATWG
 * HTML, 9.2) for clients that accept text/event-stream. ?type= (repeatable) selects types.
 * ?since=SEQ, or Last-Event-ID, which has precedence: first the events behind that one, then new
 * ones. 410 with `oldest` if those are no longer kept. The herald sends the answer, and nginx is
 * redirected to it; here it is decided who receives which events. */
call_handler v1_events;
