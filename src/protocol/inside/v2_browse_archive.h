#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/_image/<tag or digest>/archive[/<path>]: a directory, or one other entry, as a tar
 * that is made while it is sent (domain/inside/layer_archive.h). */
call_handler v2_browse_archive;
