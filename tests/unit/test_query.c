#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "protocol/http/query.h"

static struct arena arena;
static struct query query;
static struct err err;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 16);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

static void
parse(const char *raw)
{
    if (query_parse(&query, raw, &arena, &err) != 0)
        fail_msg("%s: %s", raw, err.message);
}

static void
expect(const char *name, const char *value)
{
    const char *got = query_get(&query, name);

    if (value == NULL) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    assert_string_equal(got, value);
}

static void
parameters_are_found_by_name(void **state)
{
    (void)state;
    parse("n=10&last=v1");
    expect("n", "10");
    expect("last", "v1");
    expect("las", NULL);
    expect("lastly", NULL);
    expect("", NULL);
    parse("");
    assert_int_equal(query.n, 0);
    expect("n", NULL);
}

static void
a_name_alone_has_an_empty_value(void **state)
{
    (void)state;
    parse("mount&digest=&x");
    expect("mount", "");
    expect("digest", "");
    expect("x", "");
}

static void
values_are_decoded(void **state)
{
    (void)state;
    parse("digest=sha256%3Aab&from=a%2Fb&q=x+y%2Bz&%6e=1&e=a=b");
    expect("digest", "sha256:ab");
    expect("from", "a/b");
    expect("q", "x y+z");
    expect("n", "1");
    expect("e", "a=b");
}

static void
of_two_with_one_name_the_first_counts(void **state)
{
    (void)state;
    parse("n=1&n=2");
    expect("n", "1");
}

static void
empty_parameters_are_nothing(void **state)
{
    (void)state;
    parse("&&n=1&&");
    assert_int_equal(query.n, 1);
    expect("n", "1");
    parse("=5");
    expect("", "5");
}

static void
bad_escapes_and_nuls_are_refused(void **state)
{
    static const char *const bad[] = {"n=%",   "n=%4",    "n=%zz",  "%=1",
                                      "n=%00", "n=a%00b", "a%00=1", "n=%4&x=1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (query_parse(&query, bad[i], &arena, &err) != -1)
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
}

static void
there_is_a_bound_on_parameters(void **state)
{
    char raw[2 * QUERY_PARAMETERS_MAX + 3];

    (void)state;
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = i % 2 == 0 ? 'a' : '&';
    raw[2 * QUERY_PARAMETERS_MAX] = '\0';
    parse(raw);
    assert_int_equal(query.n, QUERY_PARAMETERS_MAX);
    raw[2 * QUERY_PARAMETERS_MAX] = 'a';
    raw[2 * QUERY_PARAMETERS_MAX + 1] = '\0';
    assert_int_equal(query_parse(&query, raw, &arena, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LONG);
}

static void
memory_that_is_out_is_our_fault(void **state)
{
    (void)state;
    arena_reset(&arena);
    arena_init(&arena, 16);
    assert_int_equal(query_parse(&query, "a=b", &arena, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(parameters_are_found_by_name),
        TEST(a_name_alone_has_an_empty_value),
        TEST(values_are_decoded),
        TEST(of_two_with_one_name_the_first_counts),
        TEST(empty_parameters_are_nothing),
        TEST(bad_escapes_and_nuls_are_refused),
        TEST(there_is_a_bound_on_parameters),
        TEST(memory_that_is_out_is_our_fault),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
