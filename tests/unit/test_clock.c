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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(dates_that_others_can_read_are_told_from_those_that_they_cannot),
        cmocka_unit_test(what_we_write_is_such_a_date),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
