#ifndef PROTOCOL_HTTP_ERROR_DETAIL_H
#define PROTOCOL_HTTP_ERROR_DETAIL_H

#include "protocol/http/call.h"

/* What a person wants to know of an error (OCI distribution-spec 1.1, "Error Codes": `detail`). An
 * object of texts: "repository"; "reference", "digest" or "upload", as the path has it, or "path"
 * where there is no such thing; "expected" and "found", what the request should have had and what
 * there was; "reason", in one word; "hint", what to do. What isn't known is left out.
 *
 * digest: one that the error is about, and not the path's; or NULL. */
struct json *error_detail_make(const struct call *c, const struct err *err, const char *digest);

#endif
