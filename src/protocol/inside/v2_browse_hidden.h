#pragma once

#include "protocol/http/call.h"

/* GET /v2/{name}/_image/{reference}/layers/{n}/hidden: files of a layer that no container sees. */
call_handler v2_browse_hidden;
