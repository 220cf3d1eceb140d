#pragma once

#include "domain/core/pull.h"
#include "util/digest.h"

/* Parses digests and tags in paths and queries, after percent-escapes were decoded. The functions
 * return 0, or -1 and ERR_BAD_DIGEST or ERR_BAD_TAG; err->found is the text. */

int reference_parse_digest(const char *text, struct digest *d, struct err *err);

/* Checks a tag, which is the text itself. */
int reference_check_tag(const char *text, struct err *err);

/* Parses a tag or a digest. */
int reference_parse(const char *text, struct reference *r, struct err *err);
