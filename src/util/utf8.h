#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stdbool.h>
#include "util/buf.h"
#include "util/bytes.h"

/* Makes any bytes valid UTF-8 (RFC 3629): each byte that is not part of a character becomes a
 * question mark. */
void utf8_mend(char *text);

/* Appends any bytes as a JSON string (RFC 8259 section 7), with its quotes. Each byte that is not
 * part of a character becomes U+FFFD, and then the result is false. */
bool utf8_put_json(struct buf *out, struct bytes b);

#endif
