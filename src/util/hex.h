#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Writes n bytes as lower-case hex with a NUL: out has room for 2 * n + 1 bytes. */
void hex_encode(char *out, const void *p, size_t n);

/* The value of a digit, in either case; -1: it is none. */
int hex_value(char c);

/* Decodes exactly n bytes from 2 * n lower-case digits. Returns false for anything else, also for
 * upper case. */
bool hex_decode(void *out, size_t n, const char *hex, size_t hex_n);
