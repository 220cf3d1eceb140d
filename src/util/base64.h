#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

#include <stddef.h>
#include "util/bytes.h"

/* How long the text for n bytes is, with its NUL. */
#define BASE64_TEXT(n) (((n)*4 + 2) / 3 + 1)

/* RFC 4648 4 (with + and /), without the = at the end. out has BASE64_TEXT(b.n) bytes. */
void base64_encode(char *out, struct bytes b);

#endif
