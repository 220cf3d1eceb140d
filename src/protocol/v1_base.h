#ifndef PROTOCOL_V1_BASE_H
#define PROTOCOL_V1_BASE_H

#include "protocol/call.h"

/* GET /v1/_ping, /_ping: docker's first API asks this before anything else. */
call_handler v1_ping;

#endif
