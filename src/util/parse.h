#ifndef UTIL_PARSE_H
#define UTIL_PARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* All of these take the whole text, digits first, no blanks, no signs; overflow is false. */

/* 1*DIGIT. */
bool parse_u64(const char *s, size_t n, uint64_t *out);
/* "90s", "10m", "6h", "30d", or plain seconds; in milliseconds. */
bool parse_duration_ms(const char *s, uint64_t *out);
/* "512K", "20M", "4G" (powers of 1024), or plain bytes. */
bool parse_size(const char *s, uint64_t *out);

#endif
