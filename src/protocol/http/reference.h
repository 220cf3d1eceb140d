#pragma once

#include "domain/core/pull.h"
#include "util/digest.h"

/* Digests and tags in paths and queries, with percent-escapes undone already. The functions return
 * 0, or -1 with ERR_BAD_DIGEST or ERR_BAD_TAG; `found` of the error is the text. */

int reference_parse_digest(const char *text, struct digest *d, struct err *err);

/* Only checks the tag: it is the text itself. */
int reference_check_tag(const char *text, struct err *err);

/* A tag or a digest. The tag is the text itself. */
int reference_parse(const char *text, struct reference *r, struct err *err);
