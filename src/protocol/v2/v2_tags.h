#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/tags/list?n=&last= */
call_handler v2_tags_list;

/* GET /v2/<name>/_tags/<tag>/history?n=&last= */
call_handler v2_tags_history;
