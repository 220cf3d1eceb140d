#ifndef PROTOCOL_V2_V2_TAGS_H
#define PROTOCOL_V2_V2_TAGS_H

#include "protocol/http/call.h"

/* GET /v2/<name>/tags/list?n=&last= */
call_handler v2_tags_list;

#endif
