#pragma once

#include <stdbool.h>
#include <stddef.h>
#include "util/buf.h"
#include "util/bytes.h"
#include "util/utf8_length.h"

/* Makes any bytes valid UTF-8: each byte that is not part of a character becomes a question mark.
 */
void utf8_mend(char *text);
/* Makes any n bytes a text that can be shown on one line of a terminal: each byte that is not part
 * of a character, and each character that is not plain (util/utf8_plain.h), becomes a question
 * mark. A tab stays. Returns the length of the text, which is not longer. */
size_t utf8_make_plain(char *text, size_t n);
/* Makes any bytes printable ASCII: each other byte becomes a question mark. */
void utf8_keep_ascii(char *text);

/* Appends any bytes as a JSON string (RFC 8259 section 7), with its quotes. Each byte that is not
 * part of a character becomes U+FFFD, and then the result is false. */
bool utf8_put_json(struct buf *out, struct bytes b);
