#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Apart from utf8.h for the log's sake, as utf8_length.h. */

/* May the character of n bytes (utf8_length) be shown as it is, whoever wrote it? False for
 * control characters, which a terminal may obey; for marks that turn the direction of a text; for
 * separators of lines; and for characters that can't be seen. The web page has the same list
 * (src/ui/dom.js). */
bool utf8_plain(const void *character, size_t n);
/* The number of a character of n bytes. */
unsigned utf8_plain_number(const void *character, size_t n);
