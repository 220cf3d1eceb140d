#ifndef UTIL_CERTIFICATE_H
#define UTIL_CERTIFICATE_H

#include "util/bytes.h"
#include "util/err.h"

/* A certificate and its key for TLS, as PEM. */

/* Do they belong together? 0, or -1 and ERR_BAD_REQUEST: one of them can't be read (the first
 * certificate counts; a key with a passphrase can't), or the key is another's. */
int certificate_check(struct bytes certificate, struct bytes key, struct err *err);

#endif
