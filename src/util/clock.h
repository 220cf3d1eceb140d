#pragma once

#include <stdbool.h>
#include <stdint.h>

/* Milliseconds since 1970, for times that are stored. */
uint64_t clock_wall_ms(void);
/* Milliseconds of a clock that never goes back and is the same for all processes of the machine,
 * for time limits. */
uint64_t clock_mono_ms(void);
/* The same, with the time that the machine was suspended. */
uint64_t clock_boot_ms(void);
/* clock_mono_ms in microseconds. */
uint64_t clock_mono_us(void);
/* Sleeps for the whole time, even when signals arrive. */
void clock_sleep_ms(uint64_t ms);

/* "2026-11-23T17:01:01.234Z" (RFC 3339, UTC). */
#define CLOCK_RFC3339_MAX 32
void clock_rfc3339(char out[CLOCK_RFC3339_MAX], uint64_t wall_ms);

/* True for a date and time by RFC 3339 with T and Z as capitals, at most nine digits in the
 * fraction of a second, and no leap second. Programs in Go can read exactly these. */
bool clock_is_rfc3339(const char *text);

/* The last second of the year 9999. */
#define CLOCK_UTC_MAX UINT64_C(253402300799)

/* "2026-11-23", which is its first second, or "2026-11-23T17:01:01Z"; in UTC, not before 1970. The
 * result is in seconds since 1970. False for any other text. */
bool clock_parse_utc(const char *text, uint64_t *seconds);
