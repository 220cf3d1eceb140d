#pragma once

#include "util/err.h"

/* --base-url: the registry's URL as clients call it: scheme, host and port, without the slash at
 * the end. Anything behind the host but a port and a slash is refused, since the paths of the APIs
 * are fixed. what: the option's name, for the message. To be freed. NULL: err. */
char *base_url_parse(const char *text, const char *what, struct err *err);

/* Checks an origin as browsers send it (RFC 6454 6.2): scheme://host[:port] in small letters,
 * without a path, and without the port that the scheme implies; or "*", for any. 0, or -1 with what
 * is wrong. */
int base_url_check_origin(const char *text, const char *what, struct err *err);
