#pragma once

#include "protocol/http/call.h"

/* The two forms of an error's body: OCI distribution-spec 1.1 "Error Codes" under /v2/, and
 * {"error": "…"} with nothing but strings for v1.
 *
 * The member `detail` of an OCI error is an object of texts, for people. "repository"; "reference",
 * "digest" or "upload" as the path has it, or "path" for other paths; "expected" and "found": the
 * value that the request should have had, and the value that it had; "reason", in one word; "hint":
 * what to do. Unknown members are left out. */
enum error_form {
    ERROR_FORM_V1,
    ERROR_FORM_OCI,
};

/* Makes the reply of an error, by its row in error_table.c. Keeps the headers that the reply has
 * already. */
void reply_error(struct call *c, enum error_form form, const struct err *err);
