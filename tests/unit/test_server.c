#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "protocol/http/health.h"

#define SECOND UINT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define YEAR (365 * DAY)

static void
says(uint64_t ms, const char *expected)
{
    char age[HEALTH_AGE_MAX];

    health_age(age, ms);
    assert_string_equal(age, expected);
}

/* Each row of the original's table, at both of its ends. */
static void
an_age_is_said_in_the_originals_words(void **state)
{
    (void)state;
    says(0, "just now");
    says(42 * SECOND - 1, "just now");
    says(42 * SECOND, "a minute ago");
    says(90 * SECOND - 1, "a minute ago");
    says(90 * SECOND, "2 minutes ago");
    says(150 * SECOND - 1, "2 minutes ago");
    says(150 * SECOND, "3 minutes ago");
    says(HOUR - 31 * SECOND, "59 minutes ago");
    says(HOUR - 1, "60 minutes ago");
    says(HOUR, "an hour ago");
    says(90 * MINUTE - 1, "an hour ago");
    says(90 * MINUTE, "2 hours ago");
    says(DAY - 1, "24 hours ago");
    says(DAY, "yesterday");
    says(2 * DAY - 1, "yesterday");
    says(2 * DAY, "2 days ago");
    says(7 * DAY - 1, "7 days ago");
    says(7 * DAY, "a week ago");
    says(252 * HOUR - 1, "a week ago");
    says(252 * HOUR, "2 weeks ago");
    says(730 * HOUR - 1, "4 weeks ago");
    says(730 * HOUR, "a month ago");
    says(1095 * HOUR - 1, "a month ago");
    says(1095 * HOUR, "2 months ago");
    says(YEAR - 1, "12 months ago");
    says(YEAR, "a year ago");
    says(YEAR * 3 / 2 - 1, "a year ago");
    says(YEAR * 3 / 2, "2 years ago");
    says(10 * YEAR, "10 years ago");
    says(UINT64_MAX, "584942417 years ago");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_age_is_said_in_the_originals_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
