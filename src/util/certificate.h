#pragma once

#include <stdint.h>
#include "util/bytes.h"
#include "util/err.h"

/* A certificate and its key for TLS, as PEM. */

/* The time in which a certificate and all others of its file are valid, in seconds since 1970. */
struct certificate_span {
    int64_t from, until;
};

/* Checks that the certificate and the key belong together. Returns 0, or -1 and ERR_BAD_REQUEST
 * when one of them can't be read, or they don't match. Of several certificates the first one is
 * used. A key with a passphrase can't be read. */
int certificate_check(struct bytes certificate, struct bytes key, struct certificate_span *span,
                      struct err *err);
