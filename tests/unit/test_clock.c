#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "util/clock.h"

static void
dates_that_others_can_read_are_told_from_those_that_they_cannot(void **state)
{
    static const char *const good[] = {
        "2014-05-13T16:53:20Z",      "2014-05-13T16:53:20.000000001Z",
        "0001-01-01T00:00:00Z",      "9999-12-31T23:59:59.9+23:59",
        "2016-02-29T00:00:00-00:00", "2000-02-29T00:00:00.123+05:30",
    };
    static const char *const bad[] = {
        "",
        "2014",
        "2014-05-13",
        "2014-05-13 16:53:20Z",
        "2014-05-13T16:53:20",
        "2014-05-13t16:53:20Z",
        "2014-05-13T16:53:20z",
        "2014-05-13T16:53:20ZZ",
        "2014-05-13T16:53:20Z ",
        " 2014-05-13T16:53:20Z",
        "2014-05-13T16:53Z",
        "2014-05-13T16:53:20.Z",
        "2014-05-13T16:53:20.1234567890Z",
        "2014-05-13T16:53:20,5Z",
        "2014-05-13T16:53:60Z",
        "2014-05-13T16:60:20Z",
        "2014-05-13T24:00:00Z",
        "2014-00-13T16:53:20Z",
        "2014-13-13T16:53:20Z",
        "2014-05-00T16:53:20Z",
        "2014-04-31T16:53:20Z",
        "2014-02-29T16:53:20Z",
        "1900-02-29T16:53:20Z",
        "2014-05-13T16:53:20+24:00",
        "2014-05-13T16:53:20+00:60",
        "2014-05-13T16:53:20+0000",
        "2014-05-13T16:53:20+00:00Z",
        "+014-05-13T16:53:20Z",
        "12014-05-13T16:53:20Z",
        "Tue May 13 16:53:20 2014",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!clock_is_rfc3339(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (clock_is_rfc3339(bad[i]))
            fail_msg("%s", bad[i]);
}

static void
what_we_write_is_such_a_date(void **state)
{
    char text[CLOCK_RFC3339_MAX];

    (void)state;
    clock_rfc3339(text, clock_wall_ms());
    assert_true(clock_is_rfc3339(text));
    clock_rfc3339(text, 0);
    assert_true(clock_is_rfc3339(text));
}

static void
a_date_is_read_as_seconds(void **state)
{
    static const struct {
        const char *text;
        uint64_t seconds;
    } good[] = {
        {"1970-01-01", 0},
        {"1970-01-01T00:00:00Z", 0},
        {"2026-11-29", 1795910400},
        {"2026-11-29T18:41:07Z", 1795977667},
        {"2024-02-29T23:59:59Z", 1709251199},
        {"9999-12-31T23:59:59Z", 253402300799},
    };
    static const char *const bad[] = {
        "",
        "90d",
        "2026",
        "2026-11",
        "2026-02-29",
        "2026-13-01",
        "2026-11-29 ",
        "2026-11-29T",
        "2026-11-29T18:41Z",
        "2026-11-29T18:41:07",
        "2026-11-29T18:41:07.5Z",
        "2026-11-29T18:41:07+01:00",
        "2026-11-29T18:41:07ZZ",
        "1969-12-31",
        "2026-11-29T24:00:00Z",
        "20261-11-29",
    };
    uint64_t seconds;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        if (!clock_parse_utc(good[i].text, &seconds) || seconds != good[i].seconds)
            fail_msg("%s", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (clock_parse_utc(bad[i], &seconds))
            fail_msg("%s", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_that_others_can_read_are_told_from_those_that_they_cannot),
        cmocka_unit_test(what_we_write_is_such_a_date),
        cmocka_unit_test(a_date_is_read_as_seconds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
