#pragma once

#include "protocol/http/call.h"

/* GET /v2/_me?repository=NAME: the user of the request, and what he may do. */
call_handler v2_me;
