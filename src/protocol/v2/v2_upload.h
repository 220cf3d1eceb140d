#pragma once

#include "protocol/http/call.h"

/* /v2/<name>/blobs/uploads/…: OCI distribution-spec 1.1, "Pushing Blobs". */
call_handler v2_upload_begin;  /* POST */
call_handler v2_upload_whole;  /* POST ?digest=, the blob in the body */
call_handler v2_upload_mount;  /* POST ?mount=&from= */
call_handler v2_upload_patch;  /* PATCH: one more piece */
call_handler v2_upload_put;    /* PUT ?digest=: the last piece, if there is one, and the end */
call_handler v2_upload_status; /* GET */
call_handler v2_upload_cancel; /* DELETE */
