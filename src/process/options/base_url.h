#pragma once

#include "util/err.h"

/* Parses --base-url, the registry's URL for clients. Returns scheme, host and port, without the
 * final slash; the caller frees it. The paths of the APIs are fixed, so only a port and a slash may
 * follow the host. what: the option's name, for the message. NULL on failure. */
char *base_url_parse(const char *text, const char *what, struct err *err);

/* Checks an origin as browsers send it (RFC 6454 6.2): scheme://host[:port] in lowercase, without a
 * path, and without the scheme's default port; or "*" for any. 0 or -1. */
int base_url_check_origin(const char *text, const char *what, struct err *err);
