/* Patterns of paths: held against the C library's fnmatch, and what goes beyond it. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "util/glob.h"

static bool
fits(const char *pattern, const char *text)
{
    struct err err;
    static struct glob g;

    assert_int_equal(glob_compile(&g, bytes_str(pattern), &err), 0);
    return glob_match(&g, bytes_str(text));
}

static void
it_is_what_fnmatch_says(void **state)
{
    static const char *const pieces[] = {
        "a",           "b",    "ab",    "*",     "?",   "/",   "[ab]", "[!a]",
        "[^b]",        "[]a]", "[a-b]", ".",     "\\*", "\\?", "[-a]", "[a-]",
        "[[:alpha:]]", "[!]]", "[\\]]", "[?*]a", "-",   "[",   "\xff", "[\x80-\xff]"};
    static const char letters[] = "aab/.-]*?\xff[";
    size_t fitting = 0;

    (void)state;
    srand(1);
    for (int i = 0; i < 300000; i++) {
        char pattern[128] = "", text[16] = "";
        size_t at = 0;

        for (int n = rand() % 7; n > 0; n--)
            at += (size_t)snprintf(pattern + at, sizeof pattern - at, "%s",
                                   pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
        for (int n = 0, end = rand() % 9; n < end; n++)
            text[n] = letters[(size_t)rand() % (sizeof letters - 1)];
        /* Two stars are ours; collating symbols are its. */
        if (strstr(pattern, "**") != NULL || strstr(pattern, "[.") != NULL)
            continue;
        fitting += fits(pattern, text);
        if (fits(pattern, text) != (fnmatch(pattern, text, FNM_PATHNAME) == 0))
            fail_msg("'%s' and '%s': %d", pattern, text, fits(pattern, text));
    }
    assert_true(fitting > 1000);
}

static void
two_stars_take_slashes(void **state)
{
    (void)state;
    assert_true(fits("/usr/**.so", "/usr/lib/x/y.so"));
    assert_true(fits("**", "") && fits("**", "/a/b"));
    assert_true(fits("/**/x", "/x") && fits("/**/x", "/a/x") && fits("/**/x", "/a/b/x"));
    assert_false(fits("/**/x", "/ax"));
    assert_true(fits("**/x", "x") && fits("**/x", "a/x"));
    assert_false(fits("**/x", "ax"));
    assert_true(fits("/a/**/b/**/c", "/a/b/c") && fits("/a/**/b/**/c", "/a/1/b/2/3/c"));
    assert_true(fits("/a/**/**/**/c", "/a/c") && fits("/a/**/**/**/c", "/a/1/2/3/4/c"));
    assert_true(fits("/a/**/*", "/a/b") && fits("/a/**/*/c", "/a/b/c"));
    assert_false(fits("/a/**/*/c", "/a/c"));
    assert_true(fits("/a/**", "/a/") && fits("/a/**", "/a/b/c"));
    assert_false(fits("/a/**", "/a"));
    assert_false(fits("a**/b", "ab") || fits("/***/b", "/b"));
    assert_true(fits("a**/b", "a1/2/b") && fits("a***b", "a/b"));
}

static void
what_is_not_closed_is_itself(void **state)
{
    (void)state;
    assert_true(fits("a[b", "a[b") && fits("[", "[") && fits("[!", "[!") && fits("[]", "[]"));
    assert_true(fits("a\\", "a\\") && fits("[a-", "[a-"));
    assert_true(fits("[[:alpha:]", "[[:alpha:]") == false && fits("[[:alpha:]", "[q") == false);
}

static void
the_longest_pattern_is_matched(void **state)
{
    char pattern[GLOB_MAX + 2], text[4096];
    struct glob g;
    struct err err;

    (void)state;
    memset(pattern, 'a', GLOB_MAX);
    pattern[GLOB_MAX] = '\0';
    assert_true(fits(pattern, pattern));
    assert_false(fits(pattern, pattern + 1));
    for (size_t i = 0; i < GLOB_MAX; i += 2)
        pattern[i] = '*';
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_true(fits(pattern, text));
    text[sizeof text - 2] = 'b';
    assert_true(fits(pattern, text));
    pattern[GLOB_MAX - 1] = 'a';
    assert_false(fits(pattern, text));
    memset(pattern, '*', sizeof pattern);
    assert_int_equal(glob_compile(&g, bytes_of(pattern, GLOB_MAX + 1), &err), -1);
    assert_int_equal(err.code, ERR_TOO_LONG);
}

static void
brackets_are_closed_or_not(void **state)
{
    static const struct {
        const char *pattern;
        bool is_closed;
    } c[] = {{"", true},     {"v*", true},     {"v[0-9]", true}, {"v[]]", true},
             {"v[]", false}, {"v[0-9", false}, {"[", false},     {"\\[", true},
             {"a\\", true},  {"]", true},      {"[!]]x", true},  {"[[:digit:]]", true},
             {"[[]", true},  {"[a][", false},  {"[a\\]", false}};

    (void)state;
    for (size_t i = 0; i < sizeof c / sizeof *c; i++)
        if (glob_is_closed(bytes_str(c[i].pattern)) != c[i].is_closed)
            fail_msg("%s", c[i].pattern);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_is_what_fnmatch_says),
        cmocka_unit_test(two_stars_take_slashes),
        cmocka_unit_test(what_is_not_closed_is_itself),
        cmocka_unit_test(the_longest_pattern_is_matched),
        cmocka_unit_test(brackets_are_closed_or_not),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
