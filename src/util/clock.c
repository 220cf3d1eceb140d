#include "util/clock.h"
#include <errno.h>
#include <time.h>
#include "util/parse.h"

static uint64_t
read_clock_ms(clockid_t id)
{
    struct timespec t;

    clock_gettime(id, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

uint64_t
clock_wall_ms(void)
{
    return read_clock_ms(CLOCK_REALTIME);
}

uint64_t
clock_mono_ms(void)
{
    return read_clock_ms(CLOCK_MONOTONIC);
}

uint64_t
clock_boot_ms(void)
{
    return read_clock_ms(CLOCK_BOOTTIME);
}

uint64_t
clock_mono_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000 + (uint64_t)t.tv_nsec / 1000;
}

void
clock_sleep_ms(uint64_t ms)
{
    /* Until a point in time, so that signals don't make it longer. */
    struct timespec until;

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec += (time_t)(ms / 1000);
    until.tv_nsec += (long)(ms % 1000) * 1000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL) == EINTR)
        ;
}

void
clock_rfc3339(char out[CLOCK_RFC3339_MAX], uint64_t wall_ms)
{
    time_t seconds = (time_t)(wall_ms / 1000);
    struct tm tm;
    size_t n;

    gmtime_r(&seconds, &tm);
    n = strftime(out, CLOCK_RFC3339_MAX, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, CLOCK_RFC3339_MAX - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}

/* Takes n digits from the front of *text. Their value, or -1 when it isn't between low and high. */
static int
take_digits(const char **text, size_t n, int low, int high)
{
    uint64_t v;

    if (!parse_u64(*text, n, &v) || v < (uint64_t)low || v > (uint64_t)high)
        return -1;
    *text += n;
    return (int)v;
}

static bool
take_char(const char **text, char c)
{
    if (**text != c)
        return false;
    (*text)++;
    return true;
}

static int
days_in_month(int year, int month)
{
    bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

    if (month == 2)
        return leap ? 29 : 28;
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

static bool
take_date(const char **text)
{
    int year = take_digits(text, 4, 0, 9999), month;

    if (year < 0 || !take_char(text, '-') || (month = take_digits(text, 2, 1, 12)) < 0)
        return false;
    return take_char(text, '-') && take_digits(text, 2, 1, days_in_month(year, month)) >= 0;
}

/* "17:01" */
static bool
take_minutes(const char **text)
{
    return take_digits(text, 2, 0, 23) >= 0 && take_char(text, ':') &&
           take_digits(text, 2, 0, 59) >= 0;
}

bool
clock_is_rfc3339(const char *text)
{
    if (!take_date(&text) || !take_char(&text, 'T') || !take_minutes(&text) ||
        !take_char(&text, ':') || take_digits(&text, 2, 0, 59) < 0)
        return false;
    if (take_char(&text, '.')) {
        size_t n = strspn(text, "0123456789");

        if (n < 1 || n > 9)
            return false;
        text += n;
    }
    if (take_char(&text, 'Z'))
        return *text == '\0';
    return (take_char(&text, '+') || take_char(&text, '-')) && take_minutes(&text) && *text == '\0';
}

/* The number in the n digits at p. */
static int
read_digits(const char *p, size_t n)
{
    uint64_t v = 0;

    parse_u64(p, n, &v);
    return (int)v;
}

bool
clock_parse_utc(const char *text, uint64_t *seconds)
{
    static const char layout[] = "YYYY-MM-DDThh:mm:ssZ";
    char full[sizeof layout];
    struct tm tm = {.tm_isdst = 0};
    time_t t;

    snprintf(full, sizeof full, "%s%s", text, strchr(text, 'T') == NULL ? "T00:00:00Z" : "");
    if (!clock_is_rfc3339(full) || full[sizeof layout - 2] != 'Z' ||
        strlen(text) > sizeof layout - 1)
        return false;
    tm.tm_year = read_digits(full, 4) - 1900;
    tm.tm_mon = read_digits(full + 5, 2) - 1;
    tm.tm_mday = read_digits(full + 8, 2);
    tm.tm_hour = read_digits(full + 11, 2);
    tm.tm_min = read_digits(full + 14, 2);
    tm.tm_sec = read_digits(full + 17, 2);
    t = timegm(&tm);
    if (t < 0)
        return false;
    *seconds = (uint64_t)t;
    return true;
}
