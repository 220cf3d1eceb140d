#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "protocol/http/reply_error.h"

static struct arena arena;
static struct http_request request;
static struct http_reply reply;
static struct call call;
static struct json *body;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 16);
    request = (struct http_request){.method = HTTP_GET, .method_text = "GET", .raw_path = "/v2/"};
    reply = (struct http_reply){.status = 0};
    call = (struct call){.req = &request, .reply = &reply, .arena = &arena};
    body = NULL;
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    json_free(body);
    arena_reset(&arena);
    return 0;
}

static const char *
header(const char *name)
{
    const char *found = NULL;

    for (size_t i = 0; i < reply.headers_n; i++)
        if (strcmp(reply.headers[i].name, name) == 0) {
            assert_null(found); /* never twice */
            found = reply.headers[i].value;
        }
    return found;
}

/* Makes the reply, with the headers that an earlier one left dropped, and reads its body. */
static void
answer(enum error_form form, const struct err *err)
{
    struct err ignored;

    reply = (struct http_reply){.status = 0};
    reply_error(&call, form, err);
    json_free(body);
    assert_int_equal(json_parse(reply.body, 8, &body, &ignored), 0);
    assert_string_equal(header("Content-Type"), "application/json");
}

static const char *
member(size_t i, const char *name)
{
    return json_string(json_member(json_item(json_member(body, "errors"), i), name));
}

/* OCI distribution-spec 1.1, "Error Codes", and what docker's has besides. */
static const struct {
    enum err_code code;
    int status;
    const char *text;
    const char *retry_after;
} meanings[] = {
    {ERR_NONE, 500, "UNKNOWN", NULL},
    {ERR_SYSTEM, 500, "UNKNOWN", NULL},
    {ERR_NO_SPACE, 503, "UNAVAILABLE", "30"},
    {ERR_BUSY, 503, "UNAVAILABLE", "1"},
    {ERR_FAULT, 503, "UNAVAILABLE", "10"},
    {ERR_UNSYNCED, 503, "UNAVAILABLE", "10"},
    {ERR_CORRUPT, 500, "UNKNOWN", NULL},
    {ERR_LONG, 500, "UNKNOWN", NULL},
    {ERR_BAD_REQUEST, 400, "UNSUPPORTED", NULL},
    {ERR_BAD_NAME, 400, "NAME_INVALID", NULL},
    {ERR_BAD_TAG, 400, "TAG_INVALID", NULL},
    {ERR_BAD_DIGEST, 400, "DIGEST_INVALID", NULL},
    {ERR_DIGEST_MISMATCH, 400, "DIGEST_INVALID", NULL},
    {ERR_BAD_SIZE, 400, "SIZE_INVALID", NULL},
    {ERR_BAD_RANGE, 416, "BLOB_UPLOAD_INVALID", NULL},
    {ERR_BAD_EXTENT, 416, "SIZE_INVALID", NULL},
    {ERR_BAD_MANIFEST, 400, "MANIFEST_INVALID", NULL},
    {ERR_BAD_IMAGE, 400, "MANIFEST_INVALID", NULL},
    {ERR_TOO_LARGE, 413, "SIZE_INVALID", NULL},
    {ERR_TOO_LONG, 414, "UNSUPPORTED", NULL},
    {ERR_IN_USE, 405, "UNSUPPORTED", NULL},
    {ERR_EXISTS, 409, "DENIED", NULL},
    {ERR_CONDITION, 412, "PRECONDITION_FAILED", NULL},
    {ERR_TOO_MANY, 429, "TOOMANYREQUESTS", "5"},
    {ERR_FULL, 403, "DENIED", NULL},
    {ERR_NO_ROUTE, 404, "NAME_UNKNOWN", NULL},
    {ERR_NO_METHOD, 405, "UNSUPPORTED", NULL},
    {ERR_NO_REPOSITORY, 404, "NAME_UNKNOWN", NULL},
    {ERR_NO_MANIFEST, 404, "MANIFEST_UNKNOWN", NULL},
    {ERR_DAMAGED_MANIFEST, 404, "MANIFEST_UNKNOWN", NULL},
    {ERR_NO_BLOB, 404, "BLOB_UNKNOWN", NULL},
    {ERR_NO_UPLOAD, 404, "BLOB_UPLOAD_UNKNOWN", NULL},
    {ERR_NO_IMAGE, 404, "MANIFEST_UNKNOWN", NULL},
    {ERR_NOT_CONVERTED, 404, "MANIFEST_UNKNOWN", NULL},
    {ERR_UNCONVERTIBLE, 404, "MANIFEST_UNKNOWN", NULL},
    {ERR_MISSING_PARTS, 404, "MANIFEST_BLOB_UNKNOWN", NULL},
    {ERR_NO_FILE, 404, "NOT_FOUND", NULL},
    {ERR_NOT_BROWSABLE, 422, "UNSUPPORTED", NULL},
    {ERR_UNAUTHORIZED, 401, "UNAUTHORIZED", NULL},
    {ERR_DENIED, 403, "DENIED", NULL},
    {ERR_FOREIGN_PAGE, 403, "DENIED", NULL},
    {ERR_UNSUPPORTED, 400, "UNSUPPORTED", NULL},
    {ERR_READ_ONLY, 405, "UNSUPPORTED", NULL},
};

static void
every_error_has_its_status_and_code(void **state)
{
    (void)state;
    /* A new code of util/err.h goes into the table above. */
    assert_int_equal(sizeof meanings / sizeof meanings[0], ERR_READ_ONLY + 1);
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        struct err err = {.message = "what went wrong"};

        assert_int_equal(meanings[i].code, i);
        err.code = meanings[i].code;
        answer(ERROR_FORM_OCI, &err);
        assert_int_equal(reply.status, meanings[i].status);
        assert_int_equal(json_length(json_member(body, "errors")), 1);
        assert_string_equal(member(0, "code"), meanings[i].text);
        assert_string_equal(member(0, "message"), "what went wrong");
        if (meanings[i].retry_after == NULL)
            assert_null(header("Retry-After"));
        else
            assert_string_equal(header("Retry-After"), meanings[i].retry_after);
        answer(ERROR_FORM_V1, &err);
        assert_int_equal(reply.status, meanings[i].status);
    }
}

static const char *
detail(const char *name)
{
    const struct json *one = json_item(json_member(body, "errors"), 0);

    return json_string(json_member(json_member(one, "detail"), name));
}

static void
every_error_says_what_to_do(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        struct err err = {.code = meanings[i].code, .message = "no"};

        answer(ERROR_FORM_OCI, &err);
        assert_non_null(detail("hint"));
        assert_true(strlen(detail("hint")) > 10);
        assert_string_equal(detail("path"), "/v2/");
        assert_null(detail("repository"));
        assert_null(detail("found"));
    }
}

static void
an_error_tells_what_it_is_about(void **state)
{
    struct err err;

    (void)state;
    call.name = "a/b";
    call.last = "latest\x80\n\"";
    call.last_name = "{reference}/x";
    err_set(&err, ERR_TOO_LARGE, "no");
    assert_int_equal(err_expected(&err, "at most %d", 5), -1);
    assert_int_equal(err_found(&err, "%s", "7\n"), -1);
    answer(ERROR_FORM_OCI, &err);
    assert_string_equal(detail("repository"), "a/b");
    assert_string_equal(detail("reference"), "latest??\"");
    assert_string_equal(detail("expected"), "at most 5");
    assert_string_equal(detail("found"), "7?");
    assert_null(detail("path"));
    /* The next error is another one. */
    err_set(&err, ERR_BAD_TAG, "no");
    answer(ERROR_FORM_OCI, &err);
    assert_non_null(strstr(detail("expected"), "127"));
    assert_null(detail("found"));
}

static void
what_is_long_is_cut(void **state)
{
    static char path[5000];
    struct err err;

    (void)state;
    memset(path, 'x', sizeof path - 1);
    request.raw_path = path;
    err_set(&err, ERR_NO_ROUTE, "no");
    err_found(&err, "%s", path);
    answer(ERROR_FORM_OCI, &err);
    assert_true(strlen(detail("path")) <= 300);
    assert_true(strlen(detail("found")) < ERR_FACT_MAX);
    assert_true(reply.body.n < 2048); /* a refusal travels in a header */
}

static int
is_string(const char *name, const struct json *value, void *arg)
{
    (void)arg;
    assert_string_equal(name, "error");
    assert_int_equal(json_type(value), JSON_STRING);
    return 0;
}

static void
the_old_api_gets_nothing_but_strings(void **state)
{
    static const char *const about[] = {"sha256:aa"};
    struct err err = {.code = ERR_NO_BLOB, .about = about, .about_n = 1};

    (void)state;
    memcpy(err.message, "gone \"away\"", 12);
    answer(ERROR_FORM_V1, &err);
    assert_string_equal(json_string(json_member(body, "error")), "gone \"away\"");
    assert_int_equal(json_each(body, is_string, NULL), 0);
}

static void
each_missing_part_is_an_error_with_its_digest(void **state)
{
    static const char *const about[] = {"sha256:aa", "sha256:bb", "sha256:cc"};
    struct err err = {.code = ERR_MISSING_PARTS, .message = "parts", .about = about, .about_n = 3};

    (void)state;
    answer(ERROR_FORM_OCI, &err);
    assert_int_equal(reply.status, 404);
    assert_int_equal(json_length(json_member(body, "errors")), 3);
    for (size_t i = 0; i < 3; i++) {
        const struct json *one = json_item(json_member(body, "errors"), i);

        assert_string_equal(member(i, "code"), "MANIFEST_BLOB_UNKNOWN");
        assert_string_equal(member(i, "message"), i == 0 ? "parts" : "this one as well");
        assert_string_equal(json_string(json_member(json_member(one, "detail"), "digest")),
                            about[i]);
    }
}

#define DIGITS_32 "0123456789abcdef0123456789abcdef"

/* An answer that nginx can't take whole holds a worker as long as its reader takes. */
static void
many_missing_parts_fit_into_the_buffers_of_nginx(void **state)
{
    enum { PARTS = 1001 }; /* MANIFEST_DESCRIPTORS_MAX, and the config */
    static const char digest[] = "sha512:" DIGITS_32 DIGITS_32 DIGITS_32 DIGITS_32;
    static char name[256];
    static const char *about[PARTS];
    struct err err = {.code = ERR_MISSING_PARTS, .about = about, .about_n = PARTS};

    (void)state;
    arena_reset(&arena);
    arena_init(&arena, 1u << 21);
    memset(name, 'a', sizeof name - 1);
    memset(err.message, 'm', sizeof err.message - 1);
    for (size_t i = 0; i < PARTS; i++)
        about[i] = digest;
    call.name = name;
    answer(ERROR_FORM_OCI, &err);
    assert_int_equal(json_length(json_member(body, "errors")), PARTS);
    assert_true(reply.body.n <= 32u * 8192); /* fastcgi_buffers */
}

static void
who_lacks_a_password_is_told_how_to_send_one(void **state)
{
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++) {
        err_set(&err, meanings[i].code, "no");
        answer(ERROR_FORM_OCI, &err);
        if (meanings[i].status == 401)
            assert_string_equal(header("WWW-Authenticate"), "Basic realm=\"registry\"");
        else
            assert_null(header("WWW-Authenticate"));
    }
}

/* Each challenge on a line of its own, Basic first; a token only where it would be taken. */
static void
the_old_api_has_two_challenges(void **state)
{
    struct registry trusting = {.users_trusted = true};
    struct err err;

    (void)state;
    err_set(&err, ERR_UNAUTHORIZED, "no");
    answer(ERROR_FORM_V1, &err);
    assert_string_equal(json_string(json_member(body, "error")), "Requires authorization");
    assert_int_equal(reply.headers_n, 3);
    assert_string_equal(reply.headers[0].name, "WWW-Authenticate");
    assert_string_equal(reply.headers[0].value, "Basic realm=\"registry\"");
    assert_string_equal(reply.headers[1].name, "WWW-Authenticate");
    assert_string_equal(reply.headers[1].value, "Token");
    call.reg = &trusting;
    answer(ERROR_FORM_V1, &err);
    assert_string_equal(header("WWW-Authenticate"), "Basic realm=\"registry\"");
}

static const char *server_address, *request_scheme;

static const char *
parameter(const struct http_request *r, const char *name)
{
    (void)r;
    return strcmp(name, "REQUEST_SCHEME") == 0 ? request_scheme
           : strcmp(name, "SERVER_ADDR") == 0  ? server_address
           : strcmp(name, "SERVER_PORT") == 0  ? "8000"
                                               : NULL;
}

static void
challenges_with(const char *host, const char *scheme, const char *address, const char *expected)
{
    struct err err;

    request.host = host;
    request.header = parameter;
    request_scheme = scheme;
    server_address = address;
    err_set(&err, ERR_UNAUTHORIZED, "no");
    answer(ERROR_FORM_OCI, &err);
    assert_string_equal(header("WWW-Authenticate"), expected);
}

#define FOR(url) "Bearer realm=\"" url "/v2/_token\",service=\"docker-registry-server\""

static void
the_new_api_leads_to_tokens(void **state)
{
    struct registry reg = {.users_given = true};

    (void)state;
    call.reg = &reg;
    challenges_with("x:1", "https", "192.0.2.1", FOR("https://x:1"));
    challenges_with("x:1", "http", "192.0.2.1", FOR("http://x:1"));
    challenges_with("x:1", NULL, NULL, FOR("http://x:1"));
    challenges_with("[::1]", "javascript", NULL, FOR("http://[::1]"));
    challenges_with("", "https", "192.0.2.1", FOR("https://192.0.2.1:8000"));
    challenges_with("a\"b", "https", "2001:db8::1", FOR("https://[2001:db8::1]:8000"));
    challenges_with("", "https", NULL, "Basic realm=\"registry\"");
    call.name = "a/b";
    call.verb = VERB_DELETE;
    challenges_with("x", "http", NULL, FOR("http://x") ",scope=\"repository:a/b:delete\"");
    call.verb = VERB_ADMIN;
    call.token_invalid = true;
    challenges_with("x", "http", NULL,
                    FOR("http://x") ",scope=\"repository:a/b:*\",error=\"invalid_token\"");
    call.needs_password = true;
    challenges_with("x", "http", NULL, "Basic realm=\"registry\"");
    call.needs_password = false;
    reg.base_url = "https://hub.example.com";
    call.name = NULL;
    call.verb = VERB_LIST;
    call.token_invalid = false;
    challenges_with("x", "http", NULL,
                    FOR("https://hub.example.com") ",scope=\"registry:catalog:*\"");
    reg.users_trusted = true;
    challenges_with("x", "http", NULL, "Basic realm=\"registry\"");
}

/* docker retries a push for 40 seconds when a 401 says just that. */
static void
a_refusal_never_says_what_makes_docker_retry(void **state)
{
    struct actor nobody = {.user = "", .address = "192.0.2.1"};
    struct registry reg = {.dirfd = -1, .users_given = true};
    struct err err;

    (void)state;
    for (enum verb verb = VERB_LOGIN; verb <= VERB_ADMIN; verb++) {
        assert_int_equal(access_check(&reg, &nobody, "a/b", verb, &err), -1);
        assert_int_equal(err.code, ERR_UNAUTHORIZED);
        answer(ERROR_FORM_OCI, &err);
        assert_int_equal(reply.status, 401);
        assert_string_not_equal(member(0, "message"), "authentication required");
        answer(ERROR_FORM_V1, &err);
        assert_string_not_equal(json_string(json_member(body, "error")), "authentication required");
    }
    assert_int_equal(access_check(&reg, &nobody, NULL, VERB_PUBLIC, &err), 0);
}

static void
headers_that_are_set_already_stay(void **state)
{
    struct err err = {.code = ERR_BAD_RANGE, .message = "no"};

    (void)state;
    http_reply_header(&reply, "Range", "0-5");
    reply_error(&call, ERROR_FORM_OCI, &err);
    assert_string_equal(header("Range"), "0-5");
    assert_int_equal(reply.status, 416);
}

static void
without_memory_there_is_still_a_status(void **state)
{
    struct err err = {.code = ERR_NO_BLOB, .message = "no"};

    (void)state;
    arena_reset(&arena);
    arena_init(&arena, 8);
    reply_error(&call, ERROR_FORM_OCI, &err);
    assert_int_equal(reply.status, 404);
    assert_int_equal(reply.body.n, 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(every_error_has_its_status_and_code),
        TEST(every_error_says_what_to_do),
        TEST(an_error_tells_what_it_is_about),
        TEST(what_is_long_is_cut),
        TEST(the_old_api_gets_nothing_but_strings),
        TEST(each_missing_part_is_an_error_with_its_digest),
        TEST(many_missing_parts_fit_into_the_buffers_of_nginx),
        TEST(who_lacks_a_password_is_told_how_to_send_one),
        TEST(the_old_api_has_two_challenges),
        TEST(the_new_api_leads_to_tokens),
        TEST(a_refusal_never_says_what_makes_docker_retry),
        TEST(headers_that_are_set_already_stay),
        TEST(without_memory_there_is_still_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
