#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/_image/<tag or digest>/find?name=GLOB: entries that match a pattern
 * (domain/inside/layer_find.h), a JSON array in the byte order of paths. It has at most ?n= entries
 * (PAGE_MAX), behind the path ?last=, and a Link to the next page. A page of very long entries may
 * end before its n. */
call_handler v2_browse_find;
