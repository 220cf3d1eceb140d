#pragma once

#include <stddef.h>

/* Apart from utf8.h, because the log needs it, and what that includes needs the log. */

/* The bytes of the character that begins at p, of which `left` bytes are there. 0: it is not a
 * valid character (RFC 3629). */
size_t utf8_length(const void *p, size_t left);
