#pragma once

#include "protocol/http/call.h"

/* Looking inside an image of the first API, by its id or the first digits of it. These are
 * extensions of the original. */

/* GET /v1/images/<id>/tree[/<path>]: a directory's entries. */
call_handler v1_browse_tree;
/* GET /v1/images/<id>/blobs/<path>: a file's bytes. */
call_handler v1_browse_blob;
