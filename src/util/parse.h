#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of these read the whole text, which must begin with a digit and have no blanks or signs. They
 * return false for any other text, and on overflow. */

/* 1*DIGIT. */
bool parse_u64(const char *s, size_t n, uint64_t *out);
/* "90s", "10m", "6h", "30d", or plain seconds; the result is in milliseconds. */
bool parse_duration_ms(const char *s, uint64_t *out);
/* "512K", "20M", "4G", "10T", "1P" (powers of 1024), or plain bytes; the result is in bytes. */
bool parse_size(const char *s, uint64_t *out);
