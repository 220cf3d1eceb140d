#pragma once

#include "protocol/http/call.h"

/* GET, HEAD /v2/<name>/blobs/<digest>: nginx sends the file; ranges included. */
call_handler v2_blob_get;

/* DELETE: removes the blob from this repository; 405 while one of its manifests needs it. */
call_handler v2_blob_delete;
