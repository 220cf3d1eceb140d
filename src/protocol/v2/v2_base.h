#pragma once

#include "protocol/http/call.h"

/* GET /v2/: does this server speak the API, and are the credentials valid? (OCI distribution-spec
 * 1.1, "Determining Support") */
call_handler v2_base;
