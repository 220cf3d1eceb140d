#pragma once

#include "protocol/http/call.h"

/* /v1/repositories/<name>/tags, docker registry API v1, "Tags". */

/* GET .../tags: an object, tag to id. */
call_handler v1_tags_list;
/* GET .../tags/<tag>: the id, as a JSON string, which docker requires from 1.8 on. */
call_handler v1_tags_get;
/* PUT .../tags/<tag>, the id as a JSON string. */
call_handler v1_tags_put;
/* DELETE .../tags/<tag>, also of a tag that was pushed by the second API. */
call_handler v1_tags_delete;
