#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/_image/<tag or digest>/diff?from=<tag or digest>: the differences from another
 * image of the repository (domain/inside/layer_diff.h), a line of JSON for each path, made while it
 * is sent. */
call_handler v2_browse_diff;
