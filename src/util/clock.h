#ifndef UTIL_CLOCK_H
#define UTIL_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970, for what is stored. */
uint64_t clock_wall_ms(void);
/* Milliseconds that never go back, the same for all processes of the machine, for time limits. */
uint64_t clock_mono_ms(void);
/* Sleeps that long, signals or not. */
void clock_sleep_ms(uint64_t ms);

/* "2026-11-23T17:01:01.234Z" (RFC 3339, UTC). */
#define CLOCK_RFC3339_MAX 32
void clock_rfc3339(char out[CLOCK_RFC3339_MAX], uint64_t wall_ms);

/* Is it a date and time of RFC 3339, with T and Z in capitals, at most nine digits behind a
 * second's point, and no leap second? That is what programs in Go can read. */
bool clock_is_rfc3339(const char *text);

#endif
