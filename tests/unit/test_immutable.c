#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include "domain/access/immutable.h"
#include "domain/registry.h"

static const char *
find(const char *pattern, const char *repository, const char *tag)
{
    char *patterns[] = {(char *)(uintptr_t) "never-*", (char *)(uintptr_t)pattern};
    struct registry reg = {.immutable = patterns, .immutable_n = 2};

    return immutable_find(&reg, repository, tag);
}

static void
a_pattern_is_for_the_whole_tag(void **state)
{
    (void)state;
    assert_string_equal(find("v*", "a/b", "v1"), "v*");
    assert_non_null(find("v*", "a/b", "v"));
    assert_null(find("v*", "a/b", "1.v"));
    assert_null(find("v", "a/b", "v1"));
    assert_non_null(find("[0-9]*.[0-9]", "b", "10.2"));
    assert_null(find("[0-9]*.[0-9]", "b", "10.x"));
    assert_non_null(find("*", "a/b", "latest"));
    assert_non_null(find("never-*", "a/b", "never-x"));
}

static void
or_for_repository_and_tag(void **state)
{
    (void)state;
    assert_non_null(find("team/**:v*", "team/a/b", "v1"));
    assert_non_null(find("team/*:v*", "team/a", "v1"));
    assert_null(find("team/*:v*", "team/a/b", "v1"));
    assert_null(find("team/**:v*", "other/a", "v1"));
    assert_null(find("team/**:v*", "team/a", "w1"));
    assert_non_null(find("**:v*", "a/b/c", "v1"));
}

static void
a_colon_in_brackets_is_no_separator(void **state)
{
    (void)state;
    assert_non_null(find("v[[:digit:]]", "a/b", "v1"));
    assert_null(find("v[[:digit:]]", "a/b", "vx"));
    assert_non_null(find("t[[:alpha:]]:v[[:digit:]]", "ta", "v1"));
    assert_null(find("t[[:alpha:]]:v[[:digit:]]", "t1", "v1"));
}

static void
some_are_no_patterns(void **state)
{
    char long_one[300];
    struct err err;

    (void)state;
    memset(long_one, 'v', sizeof long_one - 1);
    long_one[sizeof long_one - 1] = '\0';
    assert_int_equal(immutable_parse("", &err), -1);
    assert_int_equal(immutable_parse(":v*", &err), -1);
    assert_int_equal(immutable_parse("team/**:", &err), -1);
    assert_int_equal(immutable_parse(long_one, &err), -1);
    assert_int_equal(immutable_parse("v[0-9", &err), -1);
    assert_int_equal(immutable_parse("team/**:v[", &err), -1);
    assert_int_equal(immutable_parse("a:b:c", &err), -1);
    assert_non_null(strstr(err.message, "no tag can match it"));
    assert_int_equal(immutable_parse("v{1,2}", &err), -1);
    assert_int_equal(immutable_parse("../x:v1", &err), -1);
    assert_non_null(strstr(err.message, "no repository can match it"));
    assert_int_equal(immutable_parse("TEAM/**:v1", &err), -1);
    assert_int_equal(immutable_parse("team/v1", &err), -1);
    assert_int_equal(immutable_parse(".v*", &err), -1);
    assert_int_equal(immutable_parse("\\*", &err), -1);
    assert_int_equal(immutable_parse("v[]0-9]", &err), 0);
    assert_int_equal(immutable_parse("v*", &err), 0);
    assert_int_equal(immutable_parse("a:b", &err), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_pattern_is_for_the_whole_tag),
        cmocka_unit_test(or_for_repository_and_tag),
        cmocka_unit_test(a_colon_in_brackets_is_no_separator),
        cmocka_unit_test(some_are_no_patterns),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
