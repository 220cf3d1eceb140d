#pragma once

#include "protocol/http/call.h"

/* GET /v2/_me?repository=NAME: the user of the request, and their rights. */
call_handler v2_me;
