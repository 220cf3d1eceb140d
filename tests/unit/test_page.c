#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "protocol/http/page.h"

static struct arena arena;
static struct http_reply reply;
static struct call call;
static struct err err;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 16);
    reply = (struct http_reply){.status = 0};
    call = (struct call){.arena = &arena, .reply = &reply};
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
expect_limit(const char *query, size_t want)
{
    size_t limit;

    assert_int_equal(query_parse(&call.query, query, &arena, &err), 0);
    if (page_limit(&call, &limit, &err) != 0)
        fail_msg("%s: %s", query, err.message);
    assert_int_equal(limit, want);
}

static void
a_page_is_as_long_as_asked_for_up_to_a_thousand(void **state)
{
    (void)state;
    expect_limit("", PAGE_MAX);
    expect_limit("last=x", PAGE_MAX);
    expect_limit("n=0", 0);
    expect_limit("n=1", 1);
    expect_limit("n=999", 999);
    expect_limit("n=1000", 1000);
    expect_limit("n=1001", 1000);
    expect_limit("n=18446744073709551616", 1000);
    expect_limit("n=007", 7);
}

static void
what_is_no_number_is_refused(void **state)
{
    static const char *const bad[] = {"n=-1", "n=x", "n=1x", "n=1.0", "n=+1", "n=%201"};
    size_t limit;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(query_parse(&call.query, bad[i], &arena, &err), 0);
        if (page_limit(&call, &limit, &err) != -1)
            fail_msg("%s was accepted", bad[i]);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    assert_int_equal(query_parse(&call.query, "n=", &arena, &err), 0);
    assert_int_equal(page_limit(&call, &limit, &err), 0);
    assert_int_equal(limit, PAGE_MAX);
}

static void
the_link_leads_to_the_next_page(void **state)
{
    (void)state;
    assert_int_equal(page_link(&call, "/v2/a/b/tags/list", 10, "v1.0-rc_1~", &err), 0);
    assert_int_equal(reply.headers_n, 1);
    assert_string_equal(reply.headers[0].name, "Link");
    assert_string_equal(reply.headers[0].value,
                        "</v2/a/b/tags/list?n=10&last=v1.0-rc_1~>; rel=\"next\"");
}

static void
the_link_is_absolute_with_a_base_url(void **state)
{
    static const struct registry reg = {.base_url = "https://example.com:8443"};

    (void)state;
    call.reg = &reg;
    assert_int_equal(page_link(&call, "/v2/a/tags/list", 10, "x", &err), 0);
    assert_string_equal(reply.headers[0].value,
                        "<https://example.com:8443/v2/a/tags/list?n=10&last=x>; rel=\"next\"");
}

static void
what_stands_in_a_link_is_escaped(void **state)
{
    (void)state;
    assert_int_equal(page_link(&call, "/p", 1, "a/b&c=d>\"% \n\xc3\xa4", &err), 0);
    assert_string_equal(reply.headers[0].value,
                        "</p?n=1&last=a/b%26c%3Dd%3E%22%25%20%0A%C3%A4>; rel=\"next\"");
}

static void
a_link_may_have_more_parameters_and_any_last(void **state)
{
    (void)state;
    assert_int_equal(page_link_more(&call, "/p", 1, bytes_of("a\0\xff", 3), "&x=1", &err), 0);
    assert_string_equal(reply.headers[0].value, "</p?n=1&last=a%00%FF&x=1>; rel=\"next\"");
}

static void
the_link_can_be_followed(void **state)
{
    static const char last[] = "a/b c&n=5+%41";
    struct query followed;
    const char *query;

    (void)state;
    assert_int_equal(page_link(&call, "/p", 3, last, &err), 0);
    query = strchr(reply.headers[0].value, '?') + 1;
    query = arena_copy(&arena, query, strcspn(query, ">"));
    assert_int_equal(query_parse(&followed, query, &arena, &err), 0);
    assert_string_equal(query_get(&followed, "last"), last);
    assert_string_equal(query_get(&followed, "n"), "3");
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_page_is_as_long_as_asked_for_up_to_a_thousand),
        TEST(what_is_no_number_is_refused),
        TEST(the_link_leads_to_the_next_page),
        TEST(the_link_is_absolute_with_a_base_url),
        TEST(what_stands_in_a_link_is_escaped),
        TEST(a_link_may_have_more_parameters_and_any_last),
        TEST(the_link_can_be_followed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
