#ifndef UTIL_HEX_H
#define UTIL_HEX_H

#include <stdbool.h>
#include <stddef.h>

/* Lower-case hex of n bytes, and a NUL: out has room for 2 * n + 1. */
void hex_encode(char *out, const void *p, size_t n);

/* Exactly n bytes from 2 * n lower-case digits; anything else, upper case too, is false. */
bool hex_decode(void *out, size_t n, const char *hex, size_t hex_n);

#endif
