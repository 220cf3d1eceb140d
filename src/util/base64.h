#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "util/bytes.h"

/* The length of the text for n bytes, with its NUL. */
#define BASE64_TEXT(n) (((n)*4 + 2) / 3 + 1)

/* Encodes by RFC 4648 section 4 (with + and /), without the = at the end. out has room for
 * BASE64_TEXT(b.n) bytes. */
void base64_encode(char *out, struct bytes b);

/* Decodes the same, with or without the = at the end. *out has room for n bytes; *got is the number
 * that were written. False for any other text, and if there are more than n bytes. */
bool base64_decode(void *out, size_t n, size_t *got, struct bytes text);

/* Encodes by section 5, with - and _, for texts that go into URLs and headers. */
void base64_encode_url(char *out, struct bytes b);

/* The bytes in a text of that many digits. */
#define BASE64_BYTES(n) ((n)*3 / 4)

/* Decodes what base64_encode_url made, and nothing else: these bytes have no other text. out has
 * room for BASE64_BYTES(text.n) bytes, and *got is their number. False for any other text. */
bool base64_decode_url(uint8_t *out, size_t *got, struct bytes text);
