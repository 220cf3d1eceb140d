#pragma once

/* The two forms of an error's body: that of OCI distribution-spec 1.1 "Error Codes" below /v2/, and
 * {"error": "…"}, which has only strings, for the first API.
 *
 * The member `detail` of an OCI error is an object of texts for people. Its members, as far as they
 * are known: "repository"; "reference", "digest" or "upload" from the path, or else "path";
 * "expected" and "found", a value that the request should have had, and the value that it had;
 * "reason", one word; "hint", what to do. If the error is about several digests, there is an error
 * for each, and those after the first have only "digest". */
enum error_form {
    ERROR_FORM_V1,
    ERROR_FORM_OCI,
};
