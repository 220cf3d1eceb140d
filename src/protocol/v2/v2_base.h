#ifndef PROTOCOL_V2_V2_BASE_H
#define PROTOCOL_V2_V2_BASE_H

#include "domain/core/pull.h"
#include "protocol/http/call.h"
#include "util/digest.h"

/* GET /v2/: does this server speak the API, and are the credentials valid? (OCI distribution-spec
 * 1.1, "Determining Support") */
call_handler v2_base;

/* The digest in the path or the query; percent-escapes are undone already. ERR_BAD_DIGEST. */
int v2_digest(const char *text, struct digest *d, struct err *err);

/* Is it a valid tag? 0, or -1 and ERR_BAD_TAG. */
int v2_tag(const char *text, struct err *err);
/* A tag, or a digest, in the path. ERR_BAD_TAG, ERR_BAD_DIGEST. */
int v2_reference(const char *text, struct reference *r, struct err *err);

/* If-None-Match of a GET or HEAD: is the client's copy the one with this digest? (RFC 9110
 * 13.1.2) */
bool v2_is_unchanged(const struct call *c, const char *digest_text);

#endif
