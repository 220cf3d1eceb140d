#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "domain/registry.h"
#include "protocol/http/cors.h"

static struct arena arena;
static struct http_reply reply;
static const char *asked;
static const char *origin;
static const char *method; /* of a preflight */
static const char *page;

static const char *
find_header(const struct http_request *r, const char *name)
{
    (void)r;
    if (strcmp(name, "REGISTRY_CORS") == 0)
        return origin;
    if (strcmp(name, "HTTP_ACCESS_CONTROL_REQUEST_METHOD") == 0)
        return method;
    if (strcmp(name, "HTTP_ORIGIN") == 0)
        return page;
    return strcmp(name, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS") == 0 ? asked : NULL;
}

static const char *
header(const char *name)
{
    for (size_t i = 0; i < reply.headers_n; i++)
        if (strcmp(reply.headers[i].name, name) == 0)
            return reply.headers[i].value;
    return NULL;
}

static void
options(bool v1, unsigned methods)
{
    struct http_request request = {.method = HTTP_OPTIONS, .header = find_header};
    struct call c = {.req = &request, .reply = &reply, .arena = &arena};
    struct err err;

    reply = (struct http_reply){.status = 0};
    assert_int_equal(v1 ? cors_options_v1(&c, &err) : cors_options(&c, methods, &err), 0);
    assert_int_equal(reply.status, 204);
}

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 16);
    asked = NULL;
    origin = "";
    method = page = NULL;
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
without_a_page_it_tells_the_methods(void **state)
{
    (void)state;
    asked = "x-a";
    options(false, HTTP_GET | HTTP_HEAD);
    assert_string_equal(header("Allow"), "GET, HEAD, OPTIONS");
    assert_null(header("Access-Control-Allow-Methods"));
    assert_null(header("Access-Control-Allow-Headers"));
    assert_null(header("Access-Control-Max-Age"));
    assert_null(header("Vary"));
    origin = NULL;
    options(false, HTTP_PUT);
    assert_string_equal(header("Allow"), "PUT, OPTIONS");
}

static void
a_page_that_may_is_told_what_it_may_send(void **state)
{
    (void)state;
    origin = "https://ui.example.com";
    asked = "authorization, X-A";
    options(false, HTTP_GET | HTTP_HEAD | HTTP_PUT | HTTP_POST | HTTP_PATCH | HTTP_DELETE);
    assert_string_equal(header("Access-Control-Allow-Methods"),
                        "GET, HEAD, PUT, POST, PATCH, DELETE");
    assert_string_equal(header("Access-Control-Allow-Headers"), "authorization, X-A");
    assert_string_equal(header("Vary"), "Access-Control-Request-Headers");
    assert_non_null(header("Access-Control-Max-Age"));
}

static void
only_names_of_headers_come_back(void **state)
{
    static const char *const cases[][2] = {
        {"a", "a"},        {"a,b", "a, b"},   {" a ,\tb ", "a, b"},
        {"a,,b,", "a, b"}, {"a:b,c", "c"},    {"\"a\",c", "c"},
        {"a\x80,c", "c"},  {"a\r\nb,c", "c"}, {"x-_.~!,c", "x-_.~!, c"},
        {"<a>", NULL},     {"", NULL},        {", ,", NULL},
    };

    (void)state;
    origin = "*";
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        asked = cases[i][0];
        for (int v1 = 0; v1 < 2; v1++) {
            options(v1, HTTP_GET);
            if (cases[i][1] == NULL)
                assert_null(header("Access-Control-Allow-Headers"));
            else
                assert_string_equal(header("Access-Control-Allow-Headers"), cases[i][1]);
        }
    }
}

static void
what_comes_back_is_bounded(void **state)
{
    static char many[20000], one[5000];

    (void)state;
    origin = "*";
    for (size_t i = 0; i + 6 < sizeof many; i += 5)
        memcpy(many + i, "abcd,", 6);
    asked = many;
    options(false, HTTP_GET);
    assert_in_range(strlen(header("Access-Control-Allow-Headers")), 900, 1024);
    memset(one, 'a', sizeof one - 1);
    asked = one;
    options(false, HTTP_GET);
    assert_null(header("Access-Control-Allow-Headers"));
}

static void
the_first_api_says_what_the_original_says(void **state)
{
    (void)state;
    asked = "X-Docker-Token";
    options(true, 0);
    assert_null(header("Access-Control-Allow-Methods"));
    assert_null(header("Access-Control-Allow-Headers"));
    origin = "*";
    method = "HEAD";
    options(true, 0);
    assert_string_equal(header("Access-Control-Allow-Methods"), "GET,HEAD");
    method = "PUT";
    options(true, 0);
    assert_string_equal(header("Access-Control-Allow-Methods"), "GET,HEAD,PUT,PATCH,POST,DELETE");
    assert_string_equal(header("Access-Control-Allow-Headers"), "X-Docker-Token");
    assert_string_equal(header("Vary"), "Access-Control-Request-Headers");
}

static int
check(enum http_method m, const char *from, const char *allowed)
{
    struct http_request request = {.method = m, .header = find_header, .host = "r.example:5000"};
    struct registry registry = {.base_url = "https://r.example:5000"};
    struct call c = {.req = &request, .reply = &reply, .arena = &arena, .reg = &registry};
    struct err err = {.code = ERR_NONE};
    int rc;

    page = from;
    origin = allowed;
    rc = cors_check(&c, &err);
    assert_int_equal(err.code, rc == 0 ? ERR_NONE : ERR_FOREIGN_PAGE);
    return rc;
}

static void
pages_of_others_only_read(void **state)
{
    static const enum http_method writes[] = {HTTP_PUT, HTTP_POST, HTTP_PATCH, HTTP_DELETE,
                                              HTTP_OTHER};
    static const char *const foreign[] = {
        "null",           "http://r.example", "https://r.example:50000", "http://x.r.example:5000",
        "r.example:5000", "http://"};

    (void)state;
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++) {
        for (size_t k = 0; k < sizeof writes / sizeof writes[0]; k++) {
            assert_int_equal(check(writes[k], foreign[i], ""), -1);
            assert_int_equal(check(writes[k], foreign[i], NULL), -1);
            assert_int_equal(check(writes[k], foreign[i], "*"), 0);
            assert_int_equal(check(writes[k], NULL, ""), 0);
            assert_int_equal(check(writes[k], "", ""), 0);
            assert_int_equal(check(writes[k], "https://R.example:5000", ""), 0);
        }
        assert_int_equal(check(HTTP_GET, foreign[i], ""), 0);
        assert_int_equal(check(HTTP_HEAD, foreign[i], ""), 0);
        assert_int_equal(check(HTTP_OPTIONS, foreign[i], ""), 0);
    }
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(without_a_page_it_tells_the_methods),
        TEST(a_page_that_may_is_told_what_it_may_send),
        TEST(only_names_of_headers_come_back),
        TEST(what_comes_back_is_bounded),
        TEST(the_first_api_says_what_the_original_says),
        TEST(pages_of_others_only_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
