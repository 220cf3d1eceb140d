#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "protocol/routes.h"
#include "protocol/http/health.h"
#include "protocol/v1/v1_base.h"
#include "protocol/v1/v1_browse.h"
#include "protocol/v1/v1_images.h"
#include "protocol/v1/v1_repositories.h"
#include "protocol/v1/v1_search.h"
#include "protocol/v1/v1_tags.h"
#include "protocol/v1/v1_users.h"
#include "protocol/v2/v2_base.h"
#include "protocol/v2/v2_blob.h"
#include "protocol/inside/v2_browse.h"
#include "protocol/v2/v2_manifest.h"
#include "protocol/v2/v2_tags.h"
#include "protocol/v2/v2_upload.h"

static struct arena arena;
static struct http_request request;
static struct call call;
static struct err err;
static unsigned allowed;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

/* target: a path, and what is behind a ? */
static const struct route *
find(const char *method, const char *target)
{
    struct path path;
    size_t n = strcspn(target, "?");
    const char *raw = arena_copy(&arena, target, n);

    request = (struct http_request){
        .method = http_method_parse(method), .method_text = method, .raw_path = raw};
    call = (struct call){.routes = &routes, .req = &request, .arena = &arena};
    assert_int_equal(path_parse(&path, raw, raw, &arena, &err), 0);
    assert_int_equal(query_parse(&call.query, target[n] == '?' ? target + n + 1 : "", &arena, &err),
                     0);
    return route_find(&call, &path, &allowed, &err);
}

struct row {
    const char *method;
    const char *target;
    call_handler *handler;
    const char *name;
    const char *last;
};

static void
expect(const struct row *row)
{
    const struct route *r = find(row->method, row->target);

    if (r == NULL)
        fail_msg("%s %s: %s", row->method, row->target, err.message);
    if (r->handler != row->handler)
        fail_msg("%s %s is taken by %s", row->method, row->target, r->pattern);
    if (row->name == NULL)
        assert_null(call.name);
    else
        assert_string_equal(call.name, row->name);
    if (row->last == NULL)
        assert_null(call.last);
    else
        assert_string_equal(call.last, row->last);
}

static void
refuse(const char *method, const char *target, enum err_code code)
{
    if (find(method, target) != NULL)
        fail_msg("%s %s was accepted", method, target);
    if (err.code != code)
        fail_msg("%s %s: %s (code %d)", method, target, err.message, err.code);
}

static void
each_request_finds_its_handler(void **state)
{
    static const struct row rows[] = {
        {"GET", "/", health_root, NULL, NULL},
        {"HEAD", "/", health_root, NULL, NULL},
        {"GET", "/healthz", health_check, NULL, NULL},
        {"GET", "/v2/", v2_base, NULL, NULL},
        {"GET", "/v2", v2_base, NULL, NULL},
        {"GET", "/_ping", v1_base_ping, NULL, NULL},
        {"GET", "/v1/_ping", v1_base_ping, NULL, NULL},
        {"GET", "/v1/_ping/", v1_base_ping, NULL, NULL},
        {"HEAD", "/v1/search", v1_search, NULL, NULL},
        {"GET", "/v1/users", v1_users_get, NULL, NULL},
        {"GET", "/v1/users/", v1_users_get, NULL, NULL},
        {"POST", "/v1/users/", v1_users_post, NULL, NULL},
        {"PUT", "/v1/users/ann", v1_users_put, NULL, "ann"},
        {"PUT", "/v1/users/ann/", v1_users_put, NULL, "ann"},
        {"GET", "/v2/a/tags/list", v2_tags_list, "a", NULL},
        {"GET", "/v2/a/b/c/tags/list?n=5", v2_tags_list, "a/b/c", NULL},
        {"GET", "/v2/a/manifests/latest", v2_manifest_get, "a", "latest"},
        {"HEAD", "/v2/a/b/manifests/sha256:aa", v2_manifest_get, "a/b", "sha256:aa"},
        {"PUT", "/v2/a/b/manifests/latest", v2_manifest_put, "a/b", "latest"},
        {"GET", "/v2/a/blobs/sha256:aa", v2_blob_get, "a", "sha256:aa"},
        {"HEAD", "/v2/a/blobs/sha256:aa", v2_blob_get, "a", "sha256:aa"},
        {"POST", "/v2/a/b/blobs/uploads/", v2_upload_begin, "a/b", NULL},
        {"POST", "/v2/a/b/blobs/uploads", v2_upload_begin, "a/b", NULL},
        {"PATCH", "/v2/a/blobs/uploads/0123", v2_upload_patch, "a", "0123"},
        {"PUT", "/v2/a/blobs/uploads/0123?digest=x", v2_upload_put, "a", "0123"},
        {"PUT", "/v2/a/blobs/uploads/0123", v2_upload_put, "a", "0123"},
        {"GET", "/v2/a/blobs/uploads/0123", v2_upload_status, "a", "0123"},
        {"HEAD", "/v2/a/blobs/uploads/0123", v2_upload_status, "a", "0123"},
        {"DELETE", "/v2/a/blobs/uploads/0123", v2_upload_cancel, "a", "0123"},
        {"GET", "/v1/images/ab/json", v1_images_get_json, NULL, "ab"},
        {"HEAD", "/v1/images/ab/json/", v1_images_get_json, NULL, "ab"},
        {"PUT", "/v1/images/ab/json", v1_images_put_json, NULL, "ab"},
        {"GET", "/v1/images/ab/layer", v1_images_get_layer, NULL, "ab"},
        {"PUT", "/v1/images/ab/layer/", v1_images_put_layer, NULL, "ab"},
        {"PUT", "/v1/images/ab/checksum", v1_images_put_checksum, NULL, "ab"},
        {"GET", "/v1/images/ab/ancestry", v1_images_get_ancestry, NULL, "ab"},
        {"GET", "/v1/repositories", v1_repositories_list, NULL, NULL},
        {"GET", "/v1/repositories/", v1_repositories_list, NULL, NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(&rows[i]);
}

/* The last word of the API in a path parts the name from what is asked of it. */
static void
a_name_of_the_first_api_has_any_depth(void **state)
{
    static const struct row rows[] = {
        {"PUT", "/v1/repositories/a/b/", v1_repositories_begin, "a/b", NULL},
        {"PUT", "/v1/repositories/a/b", v1_repositories_begin, "a/b", NULL},
        {"PUT", "/v1/repositories/b/", v1_repositories_begin, "b", NULL},
        {"PUT", "/v1/repositories/library/b/", v1_repositories_begin, "library/b", NULL},
        {"PUT", "/v1/repositories/a/b/c/d", v1_repositories_begin, "a/b/c/d", NULL},
        {"DELETE", "/v1/repositories/a/b/", v1_repositories_delete, "a/b", NULL},
        {"DELETE", "/v1/repositories/a/b/tags", v1_repositories_delete, "a/b", NULL},
        {"GET", "/v1/repositories/x/images", v1_repositories_images, "x", NULL},
        {"PUT", "/v1/repositories/x/images/", v1_repositories_finish, "x", NULL},
        {"GET", "/v1/repositories/a/b/c/images", v1_repositories_images, "a/b/c", NULL},
        {"GET", "/v1/repositories/a/b/tags", v1_tags_list, "a/b", NULL},
        {"GET", "/v1/repositories/b/tags/", v1_tags_list, "b", NULL},
        {"GET", "/v1/repositories/a/tags/b/tags", v1_tags_list, "a/tags/b", NULL},
        {"GET", "/v1/repositories/a/images/b/tags/latest", v1_tags_get, "a/images/b", "latest"},
        {"PUT", "/v1/repositories/a/b/tags/tags", v1_tags_put, "a/b", "tags"},
        {"PUT", "/v1/repositories/a/tags/images", v1_tags_put, "a", "images"},
        {"DELETE", "/v1/repositories/b/tags/v1/", v1_tags_delete, "b", "v1"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(&rows[i]);
    refuse("PUT", "/v1/repositories/a/tags", ERR_BAD_NAME);
    refuse("PUT", "/v1/repositories/a/tags/images/tags/x", ERR_BAD_NAME);
    refuse("DELETE", "/v1/repositories/a/b/json", ERR_BAD_NAME);
    refuse("GET", "/v1/repositories/A/tags", ERR_BAD_NAME);
}

static void
parameters_choose_among_uploads(void **state)
{
    static const struct row rows[] = {
        {"POST", "/v2/a/blobs/uploads/?mount=x&from=b", v2_upload_mount, "a", NULL},
        {"POST", "/v2/a/blobs/uploads?from=b&mount=x", v2_upload_mount, "a", NULL},
        {"POST", "/v2/a/blobs/uploads/?mount", v2_upload_mount, "a", NULL},
        {"POST", "/v2/a/blobs/uploads/?digest=x", v2_upload_whole, "a", NULL},
        {"POST", "/v2/a/blobs/uploads?digest=x", v2_upload_whole, "a", NULL},
        {"POST", "/v2/a/blobs/uploads/?digest=x&mount=y", v2_upload_mount, "a", NULL},
        {"POST", "/v2/a/blobs/uploads/?other=x", v2_upload_begin, "a", NULL},
        {"POST", "/v2/a/blobs/uploads/?Digest=x", v2_upload_begin, "a", NULL},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(&rows[i]);
}

static void
a_path_inside_of_an_image_is_not_looked_at(void **state)
{
    static const struct row rows[] = {
        {"GET", "/v2/a/_image/v1/tree", v2_browse_tree, "a", "v1"},
        {"HEAD", "/v2/a/b/_image/sha256:aa/tree/", v2_browse_tree, "a/b", "sha256:aa"},
        {"GET", "/v2/a/_image/v1/tree/blobs/x", v2_browse_tree, "a", "v1"},
        {"GET", "/v2/a/_image/v1/blobs/manifests/x", v2_browse_blob, "a", "v1"},
        {"GET", "/v2/a/blobs/_image/v1/stat/tags/list", v2_browse_stat, "a/blobs", "v1"},
        {"GET", "/v2/a/_image/v1/layers/12/tree/layers/3/tree", v2_browse_layer, "a", "12"},
        {"GET", "/v1/images/ab/tree", v1_browse_tree, NULL, "ab"},
        {"GET", "/v1/images/ab/tree/", v1_browse_tree, NULL, "ab"},
        {"GET", "/v1/images/ab/blobs/json/", v1_browse_blob, NULL, "ab"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(&rows[i]);
    assert_true(bytes_equal(call.rest, bytes_str("/json/")));
    find("GET", "/v2/a/_image/v1/layers/12/tree/x");
    assert_string_equal(call.first, "v1");
    refuse("GET", "/v2/a/_image/v1", ERR_NO_ROUTE);
    refuse("GET", "/v2/a/_image/v1/trees/x", ERR_NO_ROUTE);
    refuse("GET", "/v2/a/_image/v1/layers/0", ERR_NO_ROUTE);
    refuse("GET", "/v2/_image/v1/tree/x", ERR_NO_ROUTE);
    refuse("GET", "/v2/A/_image/v1/tree/x", ERR_BAD_NAME);
    refuse("PUT", "/v2/a/_image/v1/tree/x", ERR_NO_METHOD);
    refuse("DELETE", "/v1/images/ab/tree/x", ERR_NO_METHOD);
}

/* {name} takes all that the fixed segments leave, whatever it looks like. */
static void
a_repository_may_be_named_like_a_part_of_the_api(void **state)
{
    static const struct row rows[] = {
        {"GET", "/v2/a/blobs/uploads/manifests/latest", v2_manifest_get, "a/blobs/uploads",
         "latest"},
        {"PUT", "/v2/a/blobs/uploads/manifests/latest", v2_manifest_put, "a/blobs/uploads",
         "latest"},
        {"GET", "/v2/a/blobs/uploads/blobs/sha256:aa", v2_blob_get, "a/blobs/uploads", "sha256:aa"},
        {"POST", "/v2/a/blobs/uploads/blobs/uploads/", v2_upload_begin, "a/blobs/uploads", NULL},
        {"PATCH", "/v2/a/blobs/uploads/blobs/uploads/0123", v2_upload_patch, "a/blobs/uploads",
         "0123"},
        {"GET", "/v2/manifests/manifests/manifests", v2_manifest_get, "manifests", "manifests"},
        {"GET", "/v2/a/manifests/manifests/x", v2_manifest_get, "a/manifests", "x"},
        {"GET", "/v2/tags/list/tags/list", v2_tags_list, "tags/list", NULL},
        {"GET", "/v2/v2/tags/list", v2_tags_list, "v2", NULL},
        {"GET", "/v2/a/tags/list/manifests/x", v2_manifest_get, "a/tags/list", "x"},
        {"GET", "/v2/blobs/blobs/x", v2_blob_get, "blobs", "x"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(&rows[i]);
}

static void
a_name_of_any_length_that_is_allowed_is_found(void **state)
{
    char target[400] = "/v2/", *end = target + 4;

    (void)state;
    for (int i = 0; i < 128; i++, end += 2)
        memcpy(end, "a/", 3);
    memcpy(end, "tags/list", 10);
    assert_non_null(find("GET", target));
    assert_int_equal(strlen(call.name), 255);
    memcpy(end, "a/tags/list", 12);
    refuse("GET", target, ERR_BAD_NAME);
}

static void
what_is_not_served_is_told_from_what_is_served_otherwise(void **state)
{
    static const char *const nothing[] = {
        "/x",
        "/v2/a",
        "/v2/tags/list",
        "/v2/manifests/x",
        "/v1",
        "/v1/",
        "/v2/a/tags",
        "/v2/a/tags/list/",
        "/v2/a/manifests/",
        "/healthz/",
        "/v2/a/blobs/",
        "/V2/",
        "/v3/",
        "/v2/a/manifests",
        "/v2/a/b",
        "/v2/a/tags/listing",
    };

    (void)state;
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++) {
        refuse("GET", nothing[i], ERR_NO_ROUTE);
        assert_int_equal(allowed, 0);
    }
    refuse("POST", "/v2/", ERR_NO_METHOD);
    assert_int_equal(allowed, HTTP_GET | HTTP_HEAD);
    refuse("PUT", "/v2/a/tags/list", ERR_NO_METHOD);
    assert_int_equal(allowed, HTTP_GET | HTTP_HEAD);
    refuse("POST", "/v2/a/manifests/latest", ERR_NO_METHOD);
    assert_int_equal(allowed & HTTP_PUT, HTTP_PUT);
    assert_int_equal(allowed & HTTP_POST, 0);
    refuse("GET", "/v2/a/blobs/uploads/", ERR_NO_METHOD);
    assert_int_equal(allowed, HTTP_POST);
    refuse("OPTIONS", "/v2/a/blobs/uploads/0123", ERR_NO_METHOD);
    assert_int_equal(allowed & (HTTP_PATCH | HTTP_PUT | HTTP_GET | HTTP_HEAD | HTTP_DELETE),
                     HTTP_PATCH | HTTP_PUT | HTTP_GET | HTTP_HEAD | HTTP_DELETE);
    assert_int_equal(allowed & HTTP_POST, 0);
    refuse("BREW", "/v2/", ERR_NO_METHOD);
}

static void
a_bad_name_is_told_so(void **state)
{
    (void)state;
    refuse("GET", "/v2/UPPER/tags/list", ERR_BAD_NAME);
    refuse("GET", "/v2/a/-b/manifests/latest", ERR_BAD_NAME);
    refuse("PUT", "/v2/a..b/manifests/latest", ERR_BAD_NAME);
    refuse("POST", "/v2/a___b/blobs/uploads/", ERR_BAD_NAME);
}

/* What follows from the table for nginx's locations and for rights. */
static void
each_row_asks_for_the_right_that_it_needs(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes.n; i++) {
        const struct route *r = &routes.rows[i];
        /* nothing is kept of these */
        bool idle =
            strncmp(r->pattern, "/v1/users", 9) == 0 || strcmp(r->pattern, "/v2/_token") == 0;
        bool writes = !idle && (r->methods & ~(unsigned)(HTTP_GET | HTTP_HEAD)) != 0;
        bool named = strstr(r->pattern, "{name}") != NULL || strstr(r->pattern, "{id}") != NULL;

        assert_int_equal(r->pattern[0], '/');
        assert_non_null(r->handler);
        assert_true(!writes || r->verb >= VERB_PUSH);
        assert_true(named ? r->verb >= VERB_PULL : r->verb <= VERB_LIST || r->verb == VERB_ADMIN);
    }
}

/* path.c knows by words of its own where a path leads into an image, before a row is found. */
static void
paths_lead_into_an_image_where_the_table_says_so(void **state)
{
    (void)state;
    for (size_t i = 0; i < routes.n; i++) {
        const char *pattern = routes.rows[i].pattern, *rest = strstr(pattern, "...");
        size_t n = strcspn(pattern, rest != NULL ? "." : "?");
        const char *raw = arena_copy(&arena, pattern, n);
        struct path path;

        assert_int_equal(path_parse(&path, raw, raw, &arena, &err), 0);
        assert_int_equal(path.inside, rest != NULL);
    }
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(each_request_finds_its_handler),
        TEST(a_name_of_the_first_api_has_any_depth),
        TEST(parameters_choose_among_uploads),
        TEST(a_path_inside_of_an_image_is_not_looked_at),
        TEST(a_repository_may_be_named_like_a_part_of_the_api),
        TEST(a_name_of_any_length_that_is_allowed_is_found),
        TEST(what_is_not_served_is_told_from_what_is_served_otherwise),
        TEST(a_bad_name_is_told_so),
        TEST(each_row_asks_for_the_right_that_it_needs),
        TEST(paths_lead_into_an_image_where_the_table_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
