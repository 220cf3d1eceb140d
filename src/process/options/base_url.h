#ifndef PROCESS_OPTIONS_BASE_URL_H
#define PROCESS_OPTIONS_BASE_URL_H

#include "util/err.h"

/* --base-url: how clients call us, as scheme, host and port, without a slash at the end. Anything
 * behind the host but a single slash is refused: the paths of the APIs are fixed. what: the
 * option's name, for the message. To be freed; NULL: err. */
char *base_url_parse(const char *text, const char *what, struct err *err);

/* Is this an origin as browsers send it (RFC 6454 6.2): scheme://host[:port] in small letters, no
 * path, no port that goes without saying? Or "*", for any. 0, or -1 with what is wrong. */
int base_url_check_origin(const char *text, const char *what, struct err *err);

#endif
