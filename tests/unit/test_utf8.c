#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "util/utf8.h"

static void
expect(const char *text, const char *want)
{
    char copy[64];
    snprintf(copy, sizeof copy, "%s", text);
    utf8_mend(copy);
    assert_string_equal(copy, want);
}

static void
good_text_stays(void **state)
{
    (void)state;
    expect("", "");
    expect("ann", "ann");
    expect("j\xc3\xb6rg", "j\xc3\xb6rg");
    expect("\xe2\x82\xac \xf0\x9f\x90\xb3 \xf4\x8f\xbf\xbf",
           "\xe2\x82\xac \xf0\x9f\x90\xb3 \xf4\x8f\xbf\xbf");
}

static void
bad_bytes_become_question_marks(void **state)
{
    (void)state;
    expect("j\xf6rg", "j?rg");
    expect("\x80\xbf", "??");
    expect("a\xc3", "a?"); /* cut */
    expect("\xe2\x82", "??");
    expect("\xf0\x9f\x90", "???");
    expect("\xc0\xaf", "??"); /* overlong */
    expect("\xe0\x80\xaf", "???");
    expect("\xed\xa0\x80", "???");      /* a surrogate */
    expect("\xf4\x90\x80\x80", "????"); /* beyond U+10FFFF */
    expect("\xfe\xff", "??");
    expect("\xc3\xc3\xb6", "?\xc3\xb6");
}

static void
shown(const char *text, const char *want)
{
    char copy[64];

    snprintf(copy, sizeof copy, "%s", text);
    copy[utf8_make_plain(copy, strlen(copy))] = '\0';
    assert_string_equal(copy, want);
}

static void
what_a_terminal_must_not_get_becomes_a_question_mark(void **state)
{
    (void)state;
    shown("", "");
    shown("j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x90\xb3", "j\xc3\xb6rg \xe2\x82\xac \xf0\x9f\x90\xb3");
    shown("a\x1b[31m\tb\nc\x7f", "a?[31m\tb?c?");
    shown("\xc2\x80\xc2\x9b\xc2\x9f\xc2\xa0", "???\xc2\xa0"); /* of two bytes, and a blank */
    shown("x\xe2\x80\xaegpj.exe", "x?gpj.exe");
    shown("\xe2\x80\xa7\xe2\x80\xa8\xe2\x80\xa9\xe2\x80\xaf", "\xe2\x80\xa7??\xe2\x80\xaf");
    shown("\xe2\x81\xa6\xe2\x81\xa9\xe2\x80\x8b\xef\xbb\xbf", "????");
    shown("\xf3\xa0\x81\x81z\xf3\xa1\x80\x80", "?z\xf3\xa1\x80\x80"); /* U+E0041 */
    shown("j\xf6rg\xe2\x80", "j?rg??");
}

static void
quoted(struct bytes b, const char *want, bool good)
{
    struct buf out;

    buf_init(&out, 1000);
    assert_int_equal(utf8_put_json(&out, b), good);
    assert_string_equal(buf_text(&out), want);
    buf_free(&out);
}

static void
any_bytes_make_a_json_string(void **state)
{
    (void)state;
    quoted(bytes_str(""), "\"\"", true);
    quoted(bytes_str("a/\"b\\\n\x7f"), "\"a/\\\"b\\\\\\u000a\\u007f\"", true);
    quoted(bytes_of("a\0b", 3), "\"a\\u0000b\"", true);
    quoted(bytes_str("\xe2\x82\xac"), "\"\xe2\x82\xac\"", true);
    quoted(bytes_of("\xe2\x82\xac", 2), "\"\xef\xbf\xbd\xef\xbf\xbd\"", false); /* ends inside */
    quoted(bytes_str("a\xff"), "\"a\xef\xbf\xbd\"", false);
}

static void
bytes_that_are_no_printable_ascii_become_question_marks(void **state)
{
    char text[] = "a\n~\x7f\xc3\xa9 z";

    (void)state;
    utf8_keep_ascii(text);
    assert_string_equal(text, "a?~??? z");
}

static void
the_length_of_a_character_is_told(void **state)
{
    (void)state;
    assert_int_equal(utf8_length("a", 1), 1);
    assert_int_equal(utf8_length("\xc3\xa9x", 3), 2);
    assert_int_equal(utf8_length("\xc3\xa9", 1), 0);
    assert_int_equal(utf8_length("\xe0\x80\x80", 3), 0);
    assert_int_equal(utf8_length("\xf4\x8f\xbf\xbf", 4), 4);
    assert_int_equal(utf8_length("", 0), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_that_are_no_printable_ascii_become_question_marks),
        cmocka_unit_test(the_length_of_a_character_is_told),
        cmocka_unit_test(good_text_stays),
        cmocka_unit_test(any_bytes_make_a_json_string),
        cmocka_unit_test(bad_bytes_become_question_marks),
        cmocka_unit_test(what_a_terminal_must_not_get_becomes_a_question_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
