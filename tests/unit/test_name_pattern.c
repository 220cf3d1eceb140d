/* Patterns that no name can match: held against names that were made at random, and at the bounds.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "domain/name.h"
#include "domain/name_pattern.h"
#include "util/glob.h"

static void
some_fit_and_some_do_not(void **state)
{
    static const char *const repositories[] = {"a",    "**",   "?",        "*",
                                               "**/a", "a/**", "a__b",     "a--------b",
                                               "*.*",  "[!-]", "a/[b-d]*", "?/?"};
    static const char *const none[] = {"",   "/",     "a/",     "/a",    "A",    "a..b", "a___b",
                                       ".*", "../x",  "a._b",   "a//b",  "{a}",  "a:b",  "-",
                                       "?/", "[A-Z]", "a/.b/*", "a[/]b", "a_/b", "*-"};
    static const char *const tags[] = {"v*", "?", "*", "_", "A.b-c", "[.v]*", "**"};
    static const char *const no_tags[] = {"", ".a", "-*", "a:b", "v{1,2}", "a/b", "v\\*", " "};

    (void)state;
    for (size_t i = 0; i < sizeof repositories / sizeof *repositories; i++)
        assert_true(name_pattern_fits_repository(bytes_str(repositories[i])));
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        assert_false(name_pattern_fits_repository(bytes_str(none[i])));
    for (size_t i = 0; i < sizeof tags / sizeof *tags; i++)
        assert_true(name_pattern_fits_tag(bytes_str(tags[i])));
    for (size_t i = 0; i < sizeof no_tags / sizeof *no_tags; i++)
        assert_false(name_pattern_fits_tag(bytes_str(no_tags[i])));
}

static void
a_name_of_the_greatest_length_fits_and_a_longer_one_does_not(void **state)
{
    char text[300];

    (void)state;
    memset(text, '?', sizeof text);
    assert_true(name_pattern_fits_repository(bytes_of(text, 255)));
    assert_false(name_pattern_fits_repository(bytes_of(text, 256)));
    assert_true(name_pattern_fits_tag(bytes_of(text, 128)));
    assert_false(name_pattern_fits_tag(bytes_of(text, 129)));
    text[128] = '*';
    assert_true(name_pattern_fits_tag(bytes_of(text, 129)));
}

static void
make_text(char *out, size_t most, const char *const *pieces, size_t n)
{
    size_t count = 1 + (size_t)rand() % most, at = 0;

    for (size_t i = 0; i < count; i++) {
        const char *piece = pieces[(size_t)rand() % n];

        memcpy(out + at, piece, strlen(piece) + 1);
        at += strlen(piece);
    }
}

/* A pattern that matches a name fits. A pattern that fits matches one of all short names, or a
 * longer name.
 * */
static void
what_matches_a_name_fits(void **state)
{
    static const char *const pieces[] = {"a",  "b",    "*",      "?", "/", "**",  "-",
                                         "__", "[ab]", "[!a-z]", ".", "_", "**/", "A"};
    static const char *const letters[] = {"a", "b", "/", ".", "_", "-", "A"};
    char pattern[64], name[16];
    static struct glob g;
    struct err err;
    size_t matched = 0;

    (void)state;
    srand(19);
    for (size_t i = 0; i < 2000; i++) {
        make_text(pattern, 5, pieces, sizeof pieces / sizeof *pieces);
        assert_int_equal(glob_compile(&g, bytes_str(pattern), &err), 0);
        for (size_t k = 0; k < 200; k++) {
            make_text(name, 6, letters, sizeof letters / sizeof *letters);
            if (!glob_match(&g, bytes_str(name)))
                continue;
            matched += name_is_repository(name) + name_is_tag(name);
            if (name_is_repository(name))
                assert_true(name_pattern_fits_repository(bytes_str(pattern)));
            if (name_is_tag(name))
                assert_true(name_pattern_fits_tag(bytes_str(pattern)));
        }
    }
    assert_true(matched > 1000);
}

/* Without wildcards a pattern is its only name. */
static void
a_pattern_without_wildcards_fits_if_it_is_a_name(void **state)
{
    static const char *const letters[] = {"a", "7", "/", ".", "_", "-", "A", "{"};
    char text[16];

    (void)state;
    srand(19);
    for (size_t i = 0; i < 20000; i++) {
        make_text(text, 7, letters, sizeof letters / sizeof *letters);
        assert_int_equal(name_pattern_fits_repository(bytes_str(text)), name_is_repository(text));
        assert_int_equal(name_pattern_fits_tag(bytes_str(text)), name_is_tag(text));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(some_fit_and_some_do_not),
        cmocka_unit_test(a_name_of_the_greatest_length_fits_and_a_longer_one_does_not),
        cmocka_unit_test(what_matches_a_name_fits),
        cmocka_unit_test(a_pattern_without_wildcards_fits_if_it_is_a_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
