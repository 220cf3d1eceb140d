#pragma once

#include "protocol/http/call.h"

/* GET /v2/_storage: what takes the space, for administrators. */
call_handler v2_storage;
