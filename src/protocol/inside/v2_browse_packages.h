#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/_image/<reference>/packages, and ?from= for the difference from another image. */
call_handler v2_browse_packages;
