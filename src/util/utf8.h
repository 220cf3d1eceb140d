#ifndef UTIL_UTF8_H
#define UTIL_UTF8_H

#include <stdbool.h>
#include "util/buf.h"
#include "util/bytes.h"

/* Makes valid UTF-8 (RFC 3629) of what may be any bytes: each that belongs to no character becomes
 * a question mark. */
void utf8_mend(char *text);

/* Any bytes as a JSON string (RFC 8259 7), with its quotes. What belongs to no character becomes
 * U+FFFD; then false. */
bool utf8_put_json(struct buf *out, struct bytes b);

#endif
