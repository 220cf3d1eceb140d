#ifndef PROTOCOL_SERVER_H
#define PROTOCOL_SERVER_H

#include "protocol/call.h"

/* What belongs to neither API. */

/* GET /: who this is, as the original says it. */
call_handler server_root;

/* GET /healthz: 200 and "ok", or 503 when the database can't be read. */
call_handler server_health;

#endif
