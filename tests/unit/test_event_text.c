#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "domain/events/event_text.h"
#include "util/json.h"

static struct rec_event
make(enum event_type type, const char *repository, const char *tag)
{
    struct rec_event e = {.type = type, .time = 1700000000123, .actor = "ann"};
    e.id = (struct digest){.algo = DIGEST_V1_ID};
    memset(e.id.bytes, 0xab, 32);
    e.digest = (struct digest){.algo = DIGEST_SHA256};
    memset(e.digest.bytes, 0x11, 32);
    snprintf(e.repository, sizeof e.repository, "%s", repository);
    snprintf(e.tag, sizeof e.tag, "%s", tag);
    return e;
}

#define ONES "1111111111111111111111111111111111111111111111111111111111111111"

static void
expect_log(enum event_type type, const char *repository, const char *tag, const char *want)
{
    struct rec_event e = make(type, repository, tag);
    struct buf b;
    buf_init(&b, 2000);
    event_text_log(&b, &e);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void
the_log_has_the_lines_of_the_original(void **state)
{
    (void)state;
    expect_log(EVENT_IMAGE, "a/b", "", "abababababab - added image data\n");
    expect_log(EVENT_LAYER, "a/b", "", "abababababab - added layer (sha256:" ONES ")\n");
    expect_log(EVENT_VERIFY, "a/b", "", "abababababab - verified using client checksum\n");
    expect_log(EVENT_INDEX, "a/b", "", "abababababab - indexed layer data\n");
    expect_log(EVENT_TAG, "foo/bar", "latest", "abababababab - tagged with foo/bar\n");
    expect_log(EVENT_TAG, "library/bar", "latest", "abababababab - tagged with bar\n");
    expect_log(EVENT_TAG, "foo/bar", "v1", "abababababab - tagged with foo/bar:v1\n");
    expect_log(EVENT_UNTAG, "library/bar", "v1", "abababababab - untagged with bar:v1\n");
}

static void
what_the_original_did_not_have_reads_alike(void **state)
{
    (void)state;
    expect_log(EVENT_MANIFEST, "a/b", "", "abababababab - added manifest a/b@sha256:" ONES "\n");
    expect_log(EVENT_DELETE, "a/b", "", "abababababab - deleted a/b@sha256:" ONES "\n");
}

static void
expect_json(const struct rec_event *e, const char *want)
{
    struct buf b;
    struct json *j;
    struct err err;
    buf_init(&b, 4000);
    event_text_json(&b, 17, e);
    assert_string_equal(buf_text(&b), want);
    assert_int_equal(json_parse(buf_bytes(&b), 2, &j, &err), 0);
    json_free(j);
    buf_free(&b);
}

#define ID "\"id\":\"abababababababababababababababababababababababababababababababab\""
#define REST                                                                           \
    "\"seq\":17,\"time\":\"2023-11-14T22:13:20.123Z\",\"repository\":\"library/bar\"," \
    "\"digest\":\"sha256:" ONES "\",\"actor\":\"ann\"}"

static void
the_stream_has_the_originals_members_and_ours(void **state)
{
    (void)state;
    struct rec_event e = make(EVENT_TAG, "library/bar", "v1");
    expect_json(&e, "{\"type\":\"tag\"," ID ",\"tag\":\"bar:v1\"," REST);
    e.type = EVENT_UNTAG;
    expect_json(&e, "{\"type\":\"untag\"," ID ",\"tag\":\"bar:v1\"," REST);
    e.type = EVENT_LAYER;
    expect_json(&e, "{\"type\":\"layer\"," ID ",\"checksum\":\"sha256:" ONES "\"," REST);
    e.type = EVENT_IMAGE;
    expect_json(&e, "{\"type\":\"image\"," ID "," REST);
}

static void
a_user_of_any_bytes_makes_no_bad_json(void **state)
{
    (void)state;
    struct rec_event e = make(EVENT_VERIFY, "a", "");
    snprintf(e.actor, sizeof e.actor, "j\xf6rg \"$(x)\"");
    e.digest.algo = DIGEST_NONE;
    expect_json(&e, "{\"type\":\"verify\"," ID ",\"seq\":17,\"time\":\"2023-11-14T22:13:20.123Z\","
                    "\"repository\":\"a\",\"digest\":\"\",\"actor\":\"j?rg \\\"$(x)\\\"\"}");
}

static void
types_have_bits(void **state)
{
    (void)state;
    assert_int_equal(event_text_mask("tag"), event_text_bit(EVENT_TAG));
    assert_int_equal(event_text_mask("delete"), event_text_bit(EVENT_DELETE));
    assert_int_equal(event_text_mask("index"), 0);
    assert_int_equal(event_text_mask("Tag"), 0);
    assert_int_equal(event_text_mask(""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_has_the_lines_of_the_original),
        cmocka_unit_test(what_the_original_did_not_have_reads_alike),
        cmocka_unit_test(the_stream_has_the_originals_members_and_ours),
        cmocka_unit_test(a_user_of_any_bytes_makes_no_bad_json),
        cmocka_unit_test(types_have_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
