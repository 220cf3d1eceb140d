#include "store_fixture.h"
#include <stdlib.h>
#include <string.h>
#include "domain/core/upload_node.h"
#include "storage/kv/kv_nodes.h"

/* Requests that one node passes on to another: what the other one believes, and what it doesn't. */

#define ID "0002aaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define NOW 1800000000000u

static struct kv_node_self first = {.number = 1, .key = {1, 2, 3}};
static struct kv_node_self second = {.number = 2, .key = {1, 2, 3}};
static struct kv_node_self stranger = {.number = 1, .key = {1, 2, 4}};

static const struct registry here = {.node = &first}, there = {.node = &second};

static struct upload_node_request request = {
    .method = "PATCH", .path = "/v2/a/blobs/uploads/" ID, .query = "x=1"};

static char text[UPLOAD_NODE_TEXT_MAX], user[RECORD_ACTOR_MAX + 1], address[UPLOAD_NODE_CLIENT_MAX];

static void
sign_as(const struct registry *reg, const char *name, const char *from)
{
    struct upload_node_request r = request;

    r.user = name;
    r.address = from;
    assert_true(upload_node_sign(reg, ID, &r, NOW, text));
}

static bool
is_believed(const struct upload_node_request *r, uint64_t began)
{
    return upload_node_verify(&there, text, r, began, user, address);
}

static void
an_id_has_the_number_of_its_node(void **state)
{
    const struct registry alone = {.node = NULL};
    char id[RECORD_UPLOAD_ID_MAX] = "ffffbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    (void)state;
    upload_node_mark(&alone, id);
    assert_string_equal(id, "ffffbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    assert_false(upload_node_is_other(&alone, id));
    upload_node_mark(&there, id);
    assert_string_equal(id, "0002bbbbbbbbbbbbbbbbbbbbbbbbbbbb");
    assert_int_equal(upload_node_of(id), 2);
    assert_true(upload_node_is_other(&here, id));
    assert_false(upload_node_is_other(&there, id));
}

static void
a_request_that_was_passed_on_brings_its_user(void **state)
{
    (void)state;
    sign_as(&here, "ann.b", "192.0.2.1");
    assert_true(is_believed(&request, NOW));
    assert_string_equal(user, "ann.b");
    assert_string_equal(address, "192.0.2.1");
    sign_as(&here, "", "2001:db8::1");
    assert_true(is_believed(&request, NOW + 60000));
    assert_string_equal(user, "");
    assert_true(is_believed(&request, NOW - 60000));
}

static void
it_is_good_for_nothing_else(void **state)
{
    struct upload_node_request r;

    (void)state;
    sign_as(&here, "ann", "192.0.2.1");
    assert_false(is_believed(&request, NOW + 60001));
    assert_false(is_believed(&request, NOW - 60001));
    r = request;
    r.method = "DELETE";
    assert_false(is_believed(&r, NOW));
    r = request;
    r.path = "/v2/b/blobs/uploads/" ID;
    assert_false(is_believed(&r, NOW));
    r = request;
    r.query = "x=2";
    assert_false(is_believed(&r, NOW));
    assert_false(upload_node_verify(&here, text, &request, NOW, user, address)); /* another node */
    sign_as(&(struct registry){.node = &stranger}, "ann", "192.0.2.1");
    assert_false(is_believed(&request, NOW));
    stranger = (struct kv_node_self){.number = 0}; /* it doesn't know itself, and has no key */
    r = request;
    r.user = r.address = "";
    assert_false(upload_node_sign(&(struct registry){.node = &stranger}, ID, &r, NOW, text));
    sign_as(&here, "ann", "192.0.2.1");
    assert_false(upload_node_verify(&(struct registry){.node = &stranger}, text, &request, NOW,
                                    user, address));
}

static void
no_byte_of_it_can_be_changed(void **state)
{
    char whole[UPLOAD_NODE_TEXT_MAX];
    size_t n;

    (void)state;
    sign_as(&here, "ann", "192.0.2.1");
    n = strlen(text);
    memcpy(whole, text, sizeof whole);
    for (size_t i = 0; i < n; i++) {
        for (const char *other = "0a.zA"; *other != '\0'; other++) {
            memcpy(text, whole, sizeof text);
            if (text[i] == *other)
                continue;
            text[i] = *other;
            assert_false(is_believed(&request, NOW));
        }
        memcpy(text, whole, sizeof text);
        text[i] = '\0';
        assert_false(is_believed(&request, NOW));
    }
    memcpy(text, whole, sizeof text);
    memcpy(text + n, "0", 2);
    assert_false(is_believed(&request, NOW));
    memcpy(text, whole, sizeof text);
    assert_true(is_believed(&request, NOW));
}

static void
a_user_who_is_too_long_is_not_passed_on(void **state)
{
    struct upload_node_request r = request;
    char name[RECORD_ACTOR_MAX + 2];

    (void)state;
    memset(name, 'x', sizeof name);
    name[RECORD_ACTOR_MAX + 1] = '\0';
    r.user = name;
    r.address = "192.0.2.1";
    assert_false(upload_node_sign(&here, ID, &r, NOW, text));
    name[RECORD_ACTOR_MAX] = '\0';
    sign_as(&here, name, "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255");
    assert_true(is_believed(&request, NOW));
    assert_string_equal(user, name);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_has_the_number_of_its_node),
        cmocka_unit_test(a_request_that_was_passed_on_brings_its_user),
        cmocka_unit_test(it_is_good_for_nothing_else),
        cmocka_unit_test(no_byte_of_it_can_be_changed),
        cmocka_unit_test(a_user_who_is_too_long_is_not_passed_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
