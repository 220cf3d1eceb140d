#pragma once

#include "protocol/http/call.h"

/* /v2/<name>/manifests/<tag or digest> */
call_handler v2_manifest_get; /* also for HEAD, which reads no document */
call_handler v2_manifest_put;
call_handler v2_manifest_delete; /* deletes a tag alone, or a manifest with its tags */
