#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "protocol/http/http.h"

static void
methods_are_known_by_their_exact_name(void **state)
{
    (void)state;
    assert_int_equal(http_method_parse("GET"), HTTP_GET);
    assert_int_equal(http_method_parse("HEAD"), HTTP_HEAD);
    assert_int_equal(http_method_parse("PUT"), HTTP_PUT);
    assert_int_equal(http_method_parse("POST"), HTTP_POST);
    assert_int_equal(http_method_parse("PATCH"), HTTP_PATCH);
    assert_int_equal(http_method_parse("DELETE"), HTTP_DELETE);
    assert_int_equal(http_method_parse("OPTIONS"), HTTP_OPTIONS);
    assert_int_equal(http_method_parse("get"), HTTP_OTHER);
    assert_int_equal(http_method_parse("GETS"), HTTP_OTHER);
    assert_int_equal(http_method_parse(""), HTTP_OTHER);
}

static void
dates_are_those_of_http(void **state)
{
    char text[HTTP_DATE_MAX];

    (void)state;
    http_date(text, 784111777); /* RFC 9110's example */
    assert_string_equal(text, "Sun, 06 Nov 1994 08:49:37 GMT");
    http_date(text, 0);
    assert_string_equal(text, "Thu, 01 Jan 1970 00:00:00 GMT");
}

static void
headers_come_in_their_order(void **state)
{
    (void)state;
    struct http_reply r = {.status = 200};
    http_reply_header(&r, "A", "1");
    http_reply_header(&r, "B", "");
    http_reply_header(&r, "C", "\xc3\xa4 ~");
    assert_int_equal(r.headers_n, 3);
    assert_string_equal(r.headers[0].name, "A");
    assert_string_equal(r.headers[0].value, "1");
    assert_string_equal(r.headers[1].value, "");
    assert_string_equal(r.headers[2].value, "\xc3\xa4 ~");
}

static void
nobody_splits_our_answers(void **state)
{
    static const char *const bad[] = {
        "a\r\nSet-Cookie: x", "\n", "a\r", "\t", "a\x01", "a\x1f", "\x7f"};

    (void)state;
    struct http_reply r = {.status = 200};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        http_reply_header(&r, "X", bad[i]);
    assert_int_equal(r.headers_n, 0);
    http_reply_header(&r, "X", NULL);
    assert_int_equal(r.headers_n, 0);
}

static void
there_is_a_bound_on_headers(void **state)
{
    (void)state;
    struct http_reply r = {.status = 200};
    for (int i = 0; i < HTTP_REPLY_HEADERS_MAX + 5; i++)
        http_reply_header(&r, "X", "y");
    assert_int_equal(r.headers_n, HTTP_REPLY_HEADERS_MAX);
    assert_int_equal(r.status, 200);
    assert_int_equal(r.body.n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(methods_are_known_by_their_exact_name),
        cmocka_unit_test(dates_are_those_of_http),
        cmocka_unit_test(headers_come_in_their_order),
        cmocka_unit_test(nobody_splits_our_answers),
        cmocka_unit_test(there_is_a_bound_on_headers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
