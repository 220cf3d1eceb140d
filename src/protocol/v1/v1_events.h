#ifndef PROTOCOL_V1_V1_EVENTS_H
#define PROTOCOL_V1_V1_EVENTS_H

#include "protocol/http/call.h"

/* GET /v1/events: a stream that doesn't end, of one JSON object a line, or of server-sent events
 * (WHATWG HTML, 9.2) for who accepts text/event-stream. ?type=, repeatable: only those. ?since=SEQ,
 * or Last-Event-ID, which comes first: what came behind that event, then what comes. 410 with
 * `oldest` when that isn't to be had any more. The answer is the herald's, to whom nginx is sent;
 * here it is decided who gets what. */
call_handler v1_events;

#endif
