#ifndef PROCESS_BASE_URL_H
#define PROCESS_BASE_URL_H

#include "util/err.h"

/* --base-url: how clients call us, as scheme, host and port, without a slash at the end. Anything
 * behind the host but a single slash is refused: the paths of the APIs are fixed. what: the
 * option's name, for the message. To be freed; NULL: err. */
char *base_url_parse(const char *text, const char *what, struct err *err);

#endif
