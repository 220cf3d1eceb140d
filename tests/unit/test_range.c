#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "protocol/http/range.h"

struct row {
    const char *range;
    uint64_t size;
};

static void
expect(const struct row *rows, size_t n, enum range_kind want)
{
    for (size_t i = 0; i < n; i++)
        if (range_judge(rows[i].range, rows[i].size) != want)
            fail_msg("\"%s\" of %llu bytes is judged %d", rows[i].range,
                     (unsigned long long)rows[i].size, range_judge(rows[i].range, rows[i].size));
}

static void
a_range_that_exists_is_served(void **state)
{
    static const struct row rows[] = {
        {"bytes=0-0", 1},    {"bytes=0-", 1},        {"bytes=99-", 100},
        {"bytes=0-99", 100}, {"bytes=50-1000", 100}, /* the end is cut to what is there */
        {"bytes=-1", 1},     {"bytes=-1000", 100},   {"BYTES=0-1", 100},
    };

    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], RANGE_GOOD);
}

static void
a_range_beyond_the_end_is_told_so(void **state)
{
    static const struct row rows[] = {
        {"bytes=100-", 100},
        {"bytes=100-200", 100},
        {"bytes=18446744073709551615-", 100},
        {"bytes=99999999999999999999-", 100}, /* larger than any number of ours */
        {"bytes=-0", 100},
        {"bytes=100-4", 100},
        {"bytes=0-", 0},
        {"bytes=0-0", 0},
    };

    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], RANGE_UNSATISFIABLE);
}

static void
a_range_that_goes_backwards_is_told_so(void **state)
{
    static const struct row rows[] = {{"bytes=5-4", 100}, {"bytes=500-0", 1000}};

    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], RANGE_BACKWARDS);
}

static void
what_is_no_single_range_of_bytes_is_ignored(void **state)
{
    static const struct row rows[] = {
        {"", 100},
        {"bytes", 100},
        {"bytes=", 100},
        {"bytes=-", 100},
        {"bytes=a-b", 100},
        {"bytes=1", 100},
        {"bytes=0-1,", 100},
        {"bytes=,0-1", 100},
        {"bytes=0-1,x", 100},
        {"bytes=0-1,3-2", 100},
        {"bytes=0-1,lines=2-3", 100},
        {"lines=0-1", 100},
        {"bytes= 0-1", 100},
        {"bytes=0-1x", 100},
        {"bytes=--1", 100},
        {"bytes=-1-", 100},
        {"bytes 0-1", 100},
        {"bytes=0-1 ", 100},
        {"bytes=+1-2", 100},
        {"bytes=-a", 100},
    };

    (void)state;
    expect(rows, sizeof rows / sizeof rows[0], RANGE_IGNORED);
}

static void
several_ranges_are_served_if_one_exists(void **state)
{
    static const struct row good[] = {{"bytes=0-1,2-3", 100},
                                      {"bytes=200-,0-1", 100},
                                      {"bytes=0-1, 50-,-7", 100},
                                      {"bytes=0-9,0-9,5-20", 100}};
    static const struct row none[] = {{"bytes=100-,200-300", 100}, {"bytes=-0,0-", 0}};
    char many[8 * 1025 + 7] = "bytes=0-1";

    (void)state;
    expect(good, sizeof good / sizeof good[0], RANGE_SEVERAL);
    expect(none, sizeof none / sizeof none[0], RANGE_UNSATISFIABLE);
    for (int i = 1; i < RANGE_SEVERAL_MAX; i++)
        memcpy(many + strlen(many), ",5-6", 5);
    assert_int_equal(range_judge(many, 100), RANGE_SEVERAL);
    memcpy(many + strlen(many), ",7-8", 5);
    assert_int_equal(range_judge(many, 100), RANGE_IGNORED);
}

static void
a_piece_of_an_upload_says_where_it_goes(void **state)
{
    static const struct {
        const char *text;
        uint64_t first, last;
    } good[] = {
        {"0-0", 0, 0},
        {"0-99", 0, 99},
        {"100-199", 100, 199},
        {"bytes 0-99", 0, 99},
        {"bytes=0-99", 0, 99},
        {"Bytes 5-9", 5, 9},
        {"bytes 0-99/100", 0, 99},
        {"bytes 0-99/*", 0, 99},
        {"0-18446744073709551615", 0, UINT64_MAX},
    };
    uint64_t first, last;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (!range_parse_content(good[i].text, &first, &last))
            fail_msg("%s was refused", good[i].text);
        assert_int_equal(first, good[i].first);
        assert_int_equal(last, good[i].last);
    }
}

static void
what_says_no_place_is_refused(void **state)
{
    static const char *const bad[] = {
        "",           "-",
        "0",          "0-",
        "-5",         "5-4",
        "a-b",        "0-9x",
        "0-9/",       "0-9/x",
        "0-9/**",     "0-9/10x",
        "0-9/9",      "0-9/99999999999999999999",
        "bytes",      "bytes ",
        "bytes*/5",   "bytes */5",
        "bytes:0-9",  "bytes  0-9",
        " 0-9",       "+1-2",
        "0--9",       "0-9,10-11",
        "octets 0-9", "0-18446744073709551616",
        "0x1-0x2",    "0 - 9",
    };
    uint64_t first, last;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (range_parse_content(bad[i], &first, &last))
            fail_msg("\"%s\" was accepted", bad[i]);
}

static void
a_range_is_taken_as_far_as_there_are_bytes(void **state)
{
    static const struct {
        const char *text;
        uint64_t size, from, n;
    } good[] = {
        {"bytes=0-0", 10, 0, 1},
        {"bytes=3-5", 10, 3, 3},
        {"bytes=3-", 10, 3, 7},
        {"bytes=9-9", 10, 9, 1},
        {"bytes=0-99", 10, 0, 10},
        {"bytes=-3", 10, 7, 3},
        {"bytes=-30", 10, 0, 10},
        {"BYTES=1-2", 10, 1, 2},
        {"bytes=-99999999999999999999", 10, 0, 10},
        {"bytes=18446744073709551613-", UINT64_MAX, UINT64_MAX - 2, 2},
    };
    uint64_t from, n;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(range_judge(good[i].text, good[i].size), RANGE_GOOD);
        range_take(good[i].text, good[i].size, &from, &n);
        if (from != good[i].from || n != good[i].n)
            fail_msg("%s: %llu + %llu", good[i].text, (unsigned long long)from,
                     (unsigned long long)n);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_range_that_exists_is_served),
        cmocka_unit_test(a_range_beyond_the_end_is_told_so),
        cmocka_unit_test(a_range_that_goes_backwards_is_told_so),
        cmocka_unit_test(what_is_no_single_range_of_bytes_is_ignored),
        cmocka_unit_test(several_ranges_are_served_if_one_exists),
        cmocka_unit_test(a_range_is_taken_as_far_as_there_are_bytes),
        cmocka_unit_test(a_piece_of_an_upload_says_where_it_goes),
        cmocka_unit_test(what_says_no_place_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
