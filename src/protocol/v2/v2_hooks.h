#pragma once

#include "protocol/http/call.h"

/* GET /v2/_hooks: what each hook did last, for administrators. */
call_handler v2_hooks;
