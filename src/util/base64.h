#pragma once

#include <stddef.h>
#include "util/bytes.h"

/* The length of the text for n bytes, with its NUL. */
#define BASE64_TEXT(n) (((n)*4 + 2) / 3 + 1)

/* Encodes by RFC 4648 section 4 (with + and /), without the = at the end. out has room for
 * BASE64_TEXT(b.n) bytes. */
void base64_encode(char *out, struct bytes b);
