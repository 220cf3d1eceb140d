#ifndef PROTOCOL_HTTP_ERROR_DETAIL_H
#define PROTOCOL_HTTP_ERROR_DETAIL_H

#include "protocol/http/call.h"

/* The member `detail` of an error (OCI distribution-spec 1.1, "Error Codes"), for people: an object
 * of texts. "repository"; "reference", "digest" or "upload" as the path has it, or "path" for other
 * paths; "expected" and "found": the value that the request should have had, and the value that it
 * had; "reason", in one word; "hint": what to do. Unknown members are left out.
 *
 * digest: a digest that the error is about and that isn't in the path; or NULL. */
struct json *error_detail_make(const struct call *c, const struct err *err, const char *digest);

#endif
