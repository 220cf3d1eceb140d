#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/parse.h"

static void
numbers_are_digits_and_fit(void **state)
{
    (void)state;
    uint64_t v = 7;
    assert_true(parse_u64("0", 1, &v) && v == 0);
    assert_true(parse_u64("0012x", 4, &v) && v == 12);
    assert_true(parse_u64("18446744073709551615", 20, &v) && v == UINT64_MAX);
    static const char *const bad[] = {
        "", "18446744073709551616", "99999999999999999999", "-1", "+1", " 1", "1 ", "0x1"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(parse_u64(bad[i], strlen(bad[i]), &v));
    }
    assert_false(parse_u64("1\0", 2, &v));
}

static void
durations_have_units_and_come_in_milliseconds(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(parse_duration_ms("90", &v) && v == 90000);
    assert_true(parse_duration_ms("90s", &v) && v == 90000);
    assert_true(parse_duration_ms("10m", &v) && v == 600000);
    assert_true(parse_duration_ms("6h", &v) && v == 21600000);
    assert_true(parse_duration_ms("30d", &v) && v == UINT64_C(2592000000));
    static const char *const bad[] = {"",   "s",  "5x",  "5ms", "5 s",
                                      "-5", "5S", "5.5", "5sx", "18446744073709552"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(parse_duration_ms(bad[i], &v));
    }
}

static void
sizes_have_units_of_1024(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(parse_size("17", &v) && v == 17);
    assert_true(parse_size("512K", &v) && v == 524288);
    assert_true(parse_size("20M", &v) && v == 20971520);
    assert_true(parse_size("4G", &v) && v == UINT64_C(4294967296));
    assert_true(parse_size("10T", &v) && v == UINT64_C(10995116277760));
    assert_true(parse_size("16383P", &v) && v == UINT64_C(18445618173802708992));
    static const char *const bad[] = {"",     "K",   "4k",           "4GB",    "4 G",
                                      "4.5G", "-4G", "17179869184G", "16384P", "1E"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(parse_size(bad[i], &v));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_digits_and_fit),
        cmocka_unit_test(durations_have_units_and_come_in_milliseconds),
        cmocka_unit_test(sizes_have_units_of_1024),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
