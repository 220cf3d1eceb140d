#pragma once

#include "protocol/http/call.h"

/* GET /v2/<name>/_tags?n=&last=&order=&name=: the tags with what people want to know of them. */
call_handler v2_tag_page;
