#include "util/clock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include "util/banned.h"

static uint64_t
now_ms(clockid_t id)
{
    struct timespec t;
    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_wall_ms(void)
{
    return now_ms(CLOCK_REALTIME);
}

uint64_t
clock_mono_ms(void)
{
    return now_ms(CLOCK_MONOTONIC);
}

void
clock_sleep_ms(uint64_t ms)
{
    /* A point in time, so that signals don't make the sleep longer. */
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR) {
    }
}

void
clock_rfc3339(char out[CLOCK_RFC3339_MAX], uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t n = strftime(out, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_RFC3339_MAX - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}

/* Reads a number of n digits between `low` and `high`. Returns -1 for anything else. */
static int
parse_digits(const char **text, size_t n, int low, int high)
{
    int v = 0;
    for (size_t i = 0; i < n; i++, (*text)++) {
        if (**text < '0' || **text > '9') {
            return -1;
        }
        v = 10 * v + **text - '0';
    }
    return v >= low && v <= high ? v : -1;
}

static bool
skip_char(const char **text, char c)
{
    if (**text != c) {
        return false;
    }
    (*text)++;
    return true;
}

static int
days_of(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (month == 2) {
        return leap ? 29 : 28;
    }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

bool
clock_is_rfc3339(const char *text)
{
    int year = parse_digits(&text, 4, 0, 9999);
    if (year < 0 || !skip_char(&text, '-')) {
        return false;
    }
    int month = parse_digits(&text, 2, 1, 12);
    if (month < 0 || !skip_char(&text, '-') ||
        parse_digits(&text, 2, 1, days_of(year, month)) < 0 || !skip_char(&text, 'T') ||
        parse_digits(&text, 2, 0, 23) < 0 || !skip_char(&text, ':') ||
        parse_digits(&text, 2, 0, 59) < 0 || !skip_char(&text, ':') ||
        parse_digits(&text, 2, 0, 59) < 0) {
        return false;
    }
    if (skip_char(&text, '.')) {
        size_t n = strspn(text, "0123456789");
        if (n < 1 || n > 9) {
            return false;
        }
        text += n;
    }
    if (skip_char(&text, 'Z')) {
        return *text == '\0';
    }
    return (skip_char(&text, '+') || skip_char(&text, '-')) && parse_digits(&text, 2, 0, 23) >= 0 &&
           skip_char(&text, ':') && parse_digits(&text, 2, 0, 59) >= 0 && *text == '\0';
}
