#pragma once

#include "domain/inside/browse.h"
#include "protocol/http/call.h"

/* Replies with the bytes of the file at the path of the call (its `rest`). Links are followed.
 * Serves one range, If-Range, If-None-Match and Last-Modified. `im` lives in the call's arena, and
 * is closed, at once or when the answer has been sent. */
int browse_blob_send(struct call *c, struct browse_image *im, struct err *err);

/* Adds headers for a file that a browser may save, but not run: Content-Disposition with that name,
 * and a Content-Security-Policy. */
int browse_blob_add_download(struct call *c, struct bytes name, struct err *err);
