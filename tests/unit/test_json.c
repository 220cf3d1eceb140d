#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "util/buf.h"
#include "util/json.h"

static struct json *
parsed(const char *text)
{
    struct json *j = NULL;
    struct err err;
    if (json_parse(bytes_str(text), 20, &j, &err) < 0) {
        fail_msg("%s", err.message);
    }
    return j;
}

static void
assert_refused(const char *text, size_t n, const char *where)
{
    /* An exact copy, so that a sanitizer sees a read behind the end. */
    char *copy = malloc(n > 0 ? n : 1);
    assert_non_null(copy);
    memcpy(copy, text, n);
    struct json *j = (struct json *)copy;
    struct err err = {0};
    if (json_parse(bytes_of(copy, n), 20, &j, &err) == 0) {
        fail_msg("accepted: %s", text);
    }
    assert_null(j);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    if (strstr(err.message, where) == NULL) {
        fail_msg("%s: \"%s\" has no \"%s\"", text, err.message, where);
    }
    free(copy);
}

static void
values_are_found_by_name_and_place(void **state)
{
    (void)state;
    struct json *j =
        parsed(" {\"s\":\"x\\u00e9\",\"n\":5,\"a\":[1,\"b\",null],\"t\":true,\"z\":null} \n");
    assert_int_equal(json_type(j), JSON_OBJECT);
    assert_string_equal(json_string(json_member(j, "s")), "x\xc3\xa9");
    const struct json *a = json_member(j, "a");
    assert_int_equal(json_type(a), JSON_ARRAY);
    assert_int_equal(json_length(a), 3);
    assert_string_equal(json_string(json_item(a, 1)), "b");
    assert_null(json_item(a, 3));
    assert_int_equal(json_type(json_member(j, "t")), JSON_BOOLEAN);
    assert_int_equal(json_type(json_member(j, "n")), JSON_NUMBER);
    assert_int_equal(json_type(json_member(j, "z")), JSON_NULL);
    json_free(j);
}

static void
looking_into_the_wrong_type_finds_nothing(void **state)
{
    (void)state;
    uint64_t v;
    struct json *j = parsed("[\"x\"]");
    assert_null(json_member(j, "x"));
    assert_null(json_string(j));
    assert_false(json_u64(j, &v));
    assert_int_equal(json_length(json_item(j, 0)), 0);
    assert_null(json_member(NULL, "x"));
    assert_null(json_item(NULL, 0));
    assert_null(json_string(NULL));
    assert_false(json_u64(NULL, &v));
    assert_int_equal(json_length(NULL), 0);
    assert_int_equal(json_type(NULL), JSON_NULL);
    json_free(j);
    json_free(NULL);
}

static void
only_whole_numbers_that_fit_are_taken(void **state)
{
    (void)state;
    struct json *j = parsed("[0,9223372036854775807,9223372036854775808,18446744073709551614]");
    static const uint64_t good[] = {0, INT64_MAX, (uint64_t)INT64_MAX + 1, UINT64_MAX - 1};
    for (size_t i = 0; i < 4; i++) {
        uint64_t v = 7;
        assert_true(json_u64(json_item(j, i), &v));
        assert_int_equal(v, good[i]);
    }
    json_free(j);
    j = parsed("[18446744073709551616,99999999999999999999999,-1,-99999999999999999999999,1.0,"
               "1e3,\"1\",true,null,1e400]");
    for (size_t i = 0; i < json_length(j); i++) {
        uint64_t v;
        assert_false(json_u64(json_item(j, i), &v));
    }
    json_free(j);
}

static void
negative_numbers_are_taken_where_they_are_wanted(void **state)
{
    (void)state;
    struct json *j = parsed("[0,-1,9223372036854775807,-9223372036854775807]");
    static const int64_t good[] = {0, -1, INT64_MAX, -INT64_MAX};
    for (size_t i = 0; i < 4; i++) {
        int64_t v = 7;
        assert_true(json_i64(json_item(j, i), &v));
        assert_int_equal(v, good[i]);
    }
    json_free(j);
    j = parsed(
        "[9223372036854775808,18446744073709551616,-9223372036854775809,1.0,1e3,\"1\",null]");
    for (size_t i = 0; i < json_length(j); i++) {
        int64_t v;
        assert_false(json_i64(json_item(j, i), &v));
    }
    json_free(j);
}

static void
what_would_not_come_out_as_it_came_in_is_known(void **state)
{
    (void)state;
    static const char *const good[] = {"[1,-1,1.50,1e400,18446744073709551614]", "null", "\"x\"",
                                       "{\"a\":{\"b\":[-9223372036854775807]}}"};
    static const char *const bad[] = {"18446744073709551616", "[[1,99999999999999999999]]",
                                      "{\"a\":{\"b\":[-9223372036854775809]}}"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        struct json *j = parsed(good[i]);
        assert_true(json_is_exact(j));
        if (j != NULL) {
            size_t n;
            assert_string_equal(json_text(j, &n), good[i]);
        }
        json_free(j);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct json *j = parsed(bad[i]);
        assert_false(json_is_exact(j));
        json_free(j);
    }
}

static void
all_that_is_json_is_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {
        "1",
        "-0",
        "null",
        "true",
        "\"\"",
        "[]",
        "{}",
        " 1 ",
        "0",
        "[1E+05]",
        "[-0.5,1e-05]",
        "\"\\\\\\\"\\/\\b\\u0000\"",
        "\t1",
        "1\r\n",
        "\"\xc2\x80\xe0\xa0\x80\xed\x9f\xbf\xef\xbf\xbf\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\x7f\""};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        json_free(parsed(good[i]));
    }
}

static void
what_is_no_json_is_refused_with_its_place(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *where;
    } bad[] = {
        {"", "byte 0"},           {"  ", "byte 2"},        {"{} {}", "byte 3"},
        {"1 x", "byte 2"},        {"[1,]", "byte 3"},      {"{\"a\":1,}", "byte 7"},
        {"[1", "byte 2"},         {"\"abc", "byte 4"},     {"\"abc\\", "byte 5"},
        {"tru", "byte 3"},        {"-", "byte 1"},         {"NaN", "byte 0"},
        {"[Infinity]", "byte 1"}, {"-Infinity", "byte 1"}, {"[01]", "byte"},
        {"[-01]", "byte"},        {"[1.]", "byte"},        {"[1.e5]", "byte"},
        {"[.5]", "byte 1"},       {"-.5", "byte 1"},       {"[+1]", "byte 1"},
        {"{'a':1}", "byte 1"},    {"/* c */1", "byte 0"},  {"True", "byte 0"},
        {"\"a\nb\"", "byte 2"},   {"\"\\q\"", "byte 2"},   {"\xef\xbb\xbf[]", "byte 0"},
        {"[1]\v", "byte 3"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_refused(bad[i].text, strlen(bad[i].text), bad[i].where);
    }
}

static void
bytes_that_are_no_utf8_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"\xff\"",         "\"\x80\"",         "\"\xc0\xaf\"",         "\"\xc1\x81\"",
        "\"\xe0\x80\xaf\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "\"\xf0\x80\x80\x80\"",
        "\"\xe2\x82\"",     "\"\xe2",           "{\"\xff\":1}",         "\"\xf7\xbf\xbf\xbf\"",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_refused(bad[i], strlen(bad[i]), "UTF-8");
    }
}

static void
a_nul_can_hide_nothing(void **state)
{
    (void)state;
    assert_refused("{}\0x", 4, "byte 2");
    assert_refused("1\0", 2, "byte 1");
    assert_refused("\"a\0b\"", 5, "byte 2");
    static const char name[] = "{\"mediaType\\u0000x\" : 1}";
    assert_refused(name, strlen(name), "NUL");
    struct json *j = parsed("[\"a\\u0000b\",\"\\\\u0000\"]");
    assert_null(json_string(json_item(j, 0)));
    assert_string_equal(json_string(json_item(j, 1)), "\\u0000");
    json_free(j);
}

static void
deep_nesting_is_an_error_and_no_crash(void **state)
{
    (void)state;
    enum { LEVELS = 200000 };
    struct buf b;
    struct json *j;
    struct err err;
    buf_init(&b, LEVELS);
    memset(buf_extend(&b, LEVELS), '[', LEVELS);
    assert_int_equal(json_parse(buf_bytes(&b), 32, &j, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.message, "nesting too deep"));
    assert_non_null(strstr(err.message, "byte 3"));
    buf_free(&b);

    assert_int_equal(json_parse(bytes_str("[[1]]"), 3, &j, &err), 0);
    json_free(j);
    assert_int_equal(json_parse(bytes_str("[[1]]"), 2, &j, &err), -1);
}

static int
note(const char *name, const struct json *value, void *arg)
{
    buf_putf(arg, "%s=%d ", name, (int)json_type(value));
    return strcmp(name, "stop") == 0 ? 5 : 0;
}

static void
members_are_visited_until_told_to_stop(void **state)
{
    (void)state;
    struct buf seen;
    buf_init(&seen, 1000);
    struct json *j = parsed("{\"a\":null,\"b\":[]}");
    assert_int_equal(json_each(j, note, &seen), 0);
    assert_string_equal(buf_text(&seen), "a=0 b=4 ");
    json_free(j);
    buf_reset(&seen);
    j = parsed("{\"stop\":\"\",\"b\":[]}");
    assert_int_equal(json_each(j, note, &seen), 5);
    assert_string_equal(buf_text(&seen), "stop=3 ");
    json_free(j);
    j = parsed("[]");
    assert_int_equal(json_each(j, note, &seen), 0);
    assert_int_equal(json_each(NULL, note, &seen), 0);
    json_free(j);
    buf_free(&seen);
}

static void
answers_are_compact_and_keep_their_slashes(void **state)
{
    (void)state;
    struct json *j = json_new_object();
    json_set_string(j, "name", "a/b \"c\"\n");
    json_set_u64(j, "size", UINT64_MAX);
    struct json *tags = json_new_array();
    json_add_string(tags, "1.0");
    json_add(tags, json_new_object());
    json_add(tags, NULL);
    json_set(j, "tags", tags);
    json_set_string(j, "name2", "");
    size_t n;
    const char *text = json_text(j, &n);
    assert_string_equal(text, "{\"name\":\"a/b \\\"c\\\"\\n\",\"size\":18446744073709551615,"
                              "\"tags\":[\"1.0\",{},null],\"name2\":\"\"}");
    assert_int_equal(n, strlen(text));
    json_free(j);
}

static void
a_small_text_cannot_become_a_large_tree(void **state)
{
    (void)state;
    struct buf text;
    struct json *j;
    struct err err;

    buf_init(&text, 8 * JSON_VALUES_MAX);
    buf_puts(&text, "[1");
    for (size_t i = 2; i < JSON_VALUES_MAX; i++)
        buf_puts(&text, ",1");
    buf_putc(&text, ']');
    assert_int_equal(json_parse(buf_bytes(&text), 8, &j, &err), 0);
    assert_int_equal(json_length(j), JSON_VALUES_MAX - 1);
    json_free(j);
    assert_int_equal(json_parse_within(buf_bytes(&text), 8, JSON_VALUES_MAX - 2, &j, &err), -1);

    buf_cut(&text, text.n - 1);
    buf_puts(&text, ",1,1]");
    assert_int_equal(json_parse(buf_bytes(&text), 8, &j, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    buf_free(&text);
}

static void
a_caller_may_want_fewer_values(void **state)
{
    struct bytes text = bytes_str("{\"a\":[1,2],\"b\":{}}");
    struct json *j;
    struct err err;

    (void)state;
    assert_int_equal(json_parse_within(text, 8, 5, &j, &err), 0);
    json_free(j);
    assert_int_equal(json_parse_within(text, 8, 4, &j, &err), -1);
    assert_non_null(strstr(err.message, "too many values"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_found_by_name_and_place),
        cmocka_unit_test(looking_into_the_wrong_type_finds_nothing),
        cmocka_unit_test(only_whole_numbers_that_fit_are_taken),
        cmocka_unit_test(negative_numbers_are_taken_where_they_are_wanted),
        cmocka_unit_test(what_would_not_come_out_as_it_came_in_is_known),
        cmocka_unit_test(all_that_is_json_is_accepted),
        cmocka_unit_test(what_is_no_json_is_refused_with_its_place),
        cmocka_unit_test(bytes_that_are_no_utf8_are_refused),
        cmocka_unit_test(a_nul_can_hide_nothing),
        cmocka_unit_test(deep_nesting_is_an_error_and_no_crash),
        cmocka_unit_test(a_small_text_cannot_become_a_large_tree),
        cmocka_unit_test(a_caller_may_want_fewer_values),
        cmocka_unit_test(members_are_visited_until_told_to_stop),
        cmocka_unit_test(answers_are_compact_and_keep_their_slashes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
