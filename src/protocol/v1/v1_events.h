#pragma once

#include "protocol/http/call.h"

/* GET /v1/events: an endless stream of JSON objects, one on each line, or of server-sent events
 * (WHATWG HTML, 9.2) for clients that accept text/event-stream. ?type= (repeatable) selects types.
 * With ?since=SEQ or Last-Event-ID, which has precedence, the stream begins with the events after
 * that one; 410 with `oldest` if some of these are deleted. The handler checks the request, and
 * then redirects nginx to the herald, which sends the answer. */
call_handler v1_events;
