#pragma once

#include "protocol/http/call.h"

/* GET /v2/_find?name=GLOB&n=&last=: names in all images that the client may pull. */
call_handler v2_find;
