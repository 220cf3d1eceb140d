#include "v1_images.h"
#include <stdlib.h>
#include <string.h>
#include "domain/core/garbage.h"
#include "domain/v1/image.h"
#include "domain/v1/image_push.h"
#include "storage/tables/tbl_edge.h"

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE) /* a lease, and an upload's expiry */

/* ---- pushing ---- */

static void
an_image_comes_in_three_steps_and_each_is_told(void **state)
{
    struct fixture *f = *state;
    const char *json = v1_json(f, 1, 0, ",\"x\":\"\\u0026\"");
    const char *payload = v1_payload(f, json, "layer one");
    struct digest id = v1_id(1);
    struct image image;
    struct bytes got;

    OK(f, v1_put_text(f, 1, json));
    assert_false(v1_is_seen(f, 1));
    OK(f, v1_put_layer(f, 1, "layer one"));
    OK(f, v1_verify(f, 1, payload));
    OK(f, image_find(&f->reg, &id, false, &image, &f->err));
    assert_int_equal(image.size, 9);
    OK(f, image_json(&f->reg, &id, &f->arena, &got, &f->err));
    assert_true(bytes_equal(got, bytes_str(json)));
    struct digest layer = fixture_digest("layer one");
    assert_true(digest_equal(&image.layer, &layer));
    char text[DIGEST_TEXT_MAX];
    digest_text(text, &image.checksum);
    assert_string_equal(text, payload);
    assert_int_equal(fixture_layer_files(f), 1);
    v1_expect_events(f, arena_printf(&f->arena,
                                     "image 01 by alice\nlayer 01=%.4s by alice\n"
                                     "verify 01 by alice\n",
                                     payload + 7));
}

static void
a_json_that_is_none_is_refused(void **state)
{
    struct fixture *f = *state;
    const char *bad[] = {
        "",
        "nonsense",
        "[]",
        "\"x\"",
        "{}",
        "{\"id\":1}",
        "{\"id\":\"x\"}",
        v1_json(f, 2, 0, ""),
        v1_json(f, 1, 7, ""),
        v1_json(f, 1, 1, ""),
        v1_json(f, 1, 0, ",\"parent\":\"x\""),
        v1_json(f, 1, 0, ",\"parent\":7"),
    };

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        REFUSED(f, v1_put_text(f, 1, bad[i]), ERR_BAD_IMAGE);
    assert_false(v1_has_record(f, 1));
    OK(f, v1_put_text(f, 1, v1_json(f, 1, 0, ",\"parent\":null")));
    OK(f, v1_put_text(f, 1, v1_json(f, 1, 0, ",\"parent\":\"\"")));

    char *longest = malloc(IMAGE_PUSH_JSON_MAX + 2);
    const char *json = v1_json(f, 2, 0, "");
    assert_non_null(longest);
    memset(longest, ' ', IMAGE_PUSH_JSON_MAX + 1);
    memcpy(longest, json, strlen(json));
    longest[IMAGE_PUSH_JSON_MAX + 1] = '\0';
    REFUSED(f, v1_put_text(f, 2, longest), ERR_TOO_LARGE);
    longest[IMAGE_PUSH_JSON_MAX] = '\0';
    OK(f, v1_put_text(f, 2, longest));
    free(longest);
}

static void
a_layer_needs_a_json_and_bytes(void **state)
{
    struct fixture *f = *state;
    struct digest id = v1_id(1);

    REFUSED(f, v1_put_layer(f, 1, "layer"), ERR_NO_IMAGE);
    OK(f, v1_put_json(f, 1, 0));
    REFUSED(f, v1_verify(f, 1, "sha256:00"), ERR_NO_IMAGE);
    REFUSED(f, image_push_layer(&f->reg, &id, "", 0, &v1_alice, &f->arena, &f->err), ERR_BAD_IMAGE);
    f->reg.max_blob_size = 4;
    REFUSED(f, v1_put_layer(f, 1, "layer"), ERR_TOO_LARGE);
    f->reg.max_blob_size = 5;
    OK(f, v1_put_layer(f, 1, "layer"));
    assert_true(v1_is_seen(f, 1));
    REFUSED(f, v1_verify(f, 1, NULL), ERR_BAD_IMAGE);
    REFUSED(f, v1_verify(f, 1, " , "), ERR_BAD_IMAGE);
    assert_true(v1_is_seen(f, 1));
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_wrong_checksum_hides_the_image_until_it_is_mended(void **state)
{
    struct fixture *f = *state;
    const char *json = v1_json(f, 1, 0, ""), *right = v1_payload(f, json, "layer");
    const char *wrong = v1_payload(f, json, "other");

    OK(f, v1_put_json(f, 1, 0));
    OK(f, v1_put_layer(f, 1, "layer"));
    REFUSED(f, v1_verify(f, 1, wrong), ERR_DIGEST_MISMATCH);
    assert_string_equal(f->err.message, "Checksum mismatch");
    assert_false(v1_is_seen(f, 1));
    OK(f, v1_put_json(f, 1, 0)); /* the same, as after a break */
    assert_false(v1_is_seen(f, 1));
    OK(f, v1_put_layer(f, 1, "layer"));
    assert_true(v1_is_seen(f, 1));
    REFUSED(f, v1_verify(f, 1, wrong), ERR_DIGEST_MISMATCH);
    assert_false(v1_is_seen(f, 1));
    OK(f, v1_verify(f, 1, right)); /* what is right needs no second layer */
    assert_true(v1_is_seen(f, 1));
}

static void
an_image_that_is_complete_never_changes(void **state)
{
    struct fixture *f = *state;
    const char *json = v1_json(f, 1, 0, "");

    v1_push(f, 1, 0, "layer");
    REFUSED(f, v1_put_json(f, 1, 0), ERR_EXISTS);
    assert_string_equal(f->err.message, "Image already exists");
    REFUSED(f, v1_put_layer(f, 1, "layer"), ERR_EXISTS);
    REFUSED(f, v1_put_layer(f, 1, "other"), ERR_EXISTS);
    REFUSED(f, v1_verify(f, 1, v1_payload(f, json, "other")), ERR_DIGEST_MISMATCH);
    assert_true(v1_is_seen(f, 1));
    OK(f, v1_verify(f, 1, v1_payload(f, json, "layer")));
    assert_int_equal(fixture_layer_files(f), 1);
    v1_expect_events(f, arena_printf(&f->arena,
                                     "image 01 by alice\nlayer 01=%.4s by alice\n"
                                     "verify 01 by alice\n",
                                     v1_payload(f, json, "layer") + 7));
}

static void
what_was_not_verified_may_come_again_until_a_tag_leads_to_it(void **state)
{
    struct fixture *f = *state;
    const char *other = v1_json(f, 1, 0, ",\"x\":1");
    struct digest layer = fixture_digest("first"), id = v1_id(1);
    struct edge keeps = {.to = layer, .kind = EDGE_IMAGE, .from = id};

    OK(f, v1_put_json(f, 1, 0));
    OK(f, v1_put_layer(f, 1, "first"));
    OK(f, v1_put_json(f, 1, 0));
    assert_true(v1_is_seen(f, 1));
    OK(f, v1_put_text(f, 1, other));
    assert_false(v1_is_seen(f, 1));
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &keeps, &f->err), 0);
    OK(f, v1_put_layer(f, 1, "second"));
    OK(f, v1_put_layer(f, 1, "third"));
    OK(f, v1_tag(f, "a/b", "latest", 1));

    OK(f, v1_put_text(f, 1, other));
    OK(f, v1_put_layer(f, 1, "third"));
    REFUSED(f, v1_put_json(f, 1, 0), ERR_EXISTS);
    REFUSED(f, v1_put_layer(f, 1, "fourth"), ERR_EXISTS);
    REFUSED(f, v1_verify(f, 1, v1_payload(f, other, "fourth")), ERR_DIGEST_MISMATCH);
    assert_true(v1_is_seen(f, 1));
    OK(f, v1_verify(f, 1, v1_payload(f, other, "third")));
    REFUSED(f, v1_put_text(f, 1, other), ERR_EXISTS);

    fixture_forward_ms(2 * HOUR);
    OK(f, garbage_step(&f->reg, &f->err));
    fixture_forward_ms(2 * MINUTE);
    OK(f, garbage_step(&f->reg, &f->err));
    assert_int_equal(fixture_layer_files(f), 1);
    assert_true(v1_is_seen(f, 1));
}

/* Brothers, and a chain, on one parent: too many for one transaction. */
static void
images_that_nothing_keeps_go_together_with_their_ancestors(void **state)
{
    struct fixture *f = *state;

    v1_push(f, 1, 0, "base");
    for (unsigned i = 2; i <= 40; i++)
        v1_push(f, i, 1, "side by side");
    for (unsigned i = 41; i <= 70; i++)
        v1_push(f, i, i == 41 ? 1 : i - 1, "one above the other");
    v1_push(f, 71, 41, "kept");
    OK(f, v1_tag(f, "a/b", "v1", 71));
    fixture_forward_ms(2 * HOUR);
    for (int i = 0; i < 3; i++)
        assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
    for (unsigned i = 2; i <= 70; i++)
        assert_int_equal(v1_has_record(f, i), i == 41);
    assert_true(v1_has_record(f, 1));
    assert_true(v1_has_record(f, 71));
    fixture_forward_ms(2 * HOUR);
    assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0);
    assert_int_equal(fixture_jobs(f, JOB_UNLINK), 1); /* of the layer that lay side by side */
}

static void
the_same_layer_is_kept_once(void **state)
{
    struct fixture *f = *state;

    v1_push(f, 1, 0, "layer");
    v1_push(f, 2, 1, "layer");
    fixture_blob(f, "a/b", "layer");
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
a_chain_has_no_circle_and_an_end(void **state)
{
    struct fixture *f = *state;
    struct digest *chain = arena_array(&f->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct digest id;
    size_t n;

    OK(f, v1_put_json(f, 1, 0));
    OK(f, v1_put_json(f, 2, 1));
    OK(f, v1_put_json(f, 3, 2));
    REFUSED(f, v1_put_json(f, 1, 3), ERR_BAD_IMAGE);
    REFUSED(f, v1_put_json(f, 1, 1), ERR_BAD_IMAGE);
    OK(f, v1_put_json(f, 1, 0));

    for (unsigned i = 4; i <= IMAGE_CHAIN_MAX; i++)
        OK(f, v1_put_json(f, i, i - 1));
    REFUSED(f, v1_put_json(f, IMAGE_CHAIN_MAX + 1, IMAGE_CHAIN_MAX), ERR_BAD_IMAGE);

    /* Made longer from below, it can't be walked. */
    OK(f, v1_put_json(f, 2000, 0));
    OK(f, v1_put_json(f, 1, 2000));
    for (unsigned i = 1; i <= IMAGE_CHAIN_MAX; i++)
        OK(f, v1_put_layer(f, i, "l"));
    OK(f, v1_put_layer(f, 2000, "l"));
    id = v1_id(IMAGE_CHAIN_MAX);
    REFUSED(f, image_ancestry(&f->reg, &id, chain, &n, &f->err), ERR_NO_IMAGE);
    id = v1_id(IMAGE_CHAIN_MAX - 1);
    OK(f, image_ancestry(&f->reg, &id, chain, &n, &f->err));
    assert_int_equal(n, IMAGE_CHAIN_MAX);
}

/* ---- finding ---- */

static void
a_chain_is_told_from_its_top_when_all_of_it_is_there(void **state)
{
    struct fixture *f = *state;
    struct digest *chain = arena_array(&f->arena, IMAGE_CHAIN_MAX, sizeof *chain);
    struct digest id = v1_id(3), one = v1_id(1);
    size_t n;

    OK(f, v1_put_json(f, 1, 0));
    v1_push(f, 2, 1, "two");
    v1_push(f, 3, 2, "three");
    REFUSED(f, image_ancestry(&f->reg, &id, chain, &n, &f->err), ERR_NO_IMAGE);
    REFUSED(f, v1_tag(f, "a/b", "latest", 3), ERR_NO_IMAGE);
    OK(f, v1_put_layer(f, 1, "one"));
    OK(f, image_ancestry(&f->reg, &id, chain, &n, &f->err));
    assert_int_equal(n, 3);
    assert_true(digest_equal(&chain[0], &id));
    assert_true(digest_equal(&chain[2], &one));
}

static void
a_few_digits_are_enough_if_they_are_one_image(void **state)
{
    struct fixture *f = *state;
    struct digest got, want = v1_id(0x105);
    char hex[DIGEST_TEXT_MAX];

    v1_push(f, 0x105, 0, "a");       /* 0500...0105 */
    v1_push(f, 0x206, 0, "b");       /* 0600...0206 */
    v1_push(f, 0x306, 0, "c");       /* 0600...0306 */
    OK(f, v1_put_json(f, 0x205, 0)); /* half there: doesn't count */
    digest_hex(hex, &want);
    OK(f, image_resolve(&f->reg, &v1_alice, hex, &got, &f->err));
    assert_true(digest_equal(&got, &want));
    for (size_t n = IMAGE_SHORT_MIN; n < 64; n++) {
        OK(f, image_resolve(&f->reg, &v1_alice, arena_copy(&f->arena, hex, n), &got, &f->err));
        assert_true(digest_equal(&got, &want));
    }
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "050", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "0600", &got, &f->err), ERR_BAD_REQUEST);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "0501", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "ffffff", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "0500/..", &got, &f->err), ERR_NO_IMAGE);
    REFUSED(f, image_resolve(&f->reg, &v1_alice, "0500A", &got, &f->err), ERR_NO_IMAGE);
    hex[0] = 'g';
    REFUSED(f, image_resolve(&f->reg, &v1_alice, hex, &got, &f->err), ERR_NO_IMAGE);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(an_image_comes_in_three_steps_and_each_is_told),
        TEST(a_json_that_is_none_is_refused),
        TEST(a_layer_needs_a_json_and_bytes),
        TEST(a_wrong_checksum_hides_the_image_until_it_is_mended),
        TEST(an_image_that_is_complete_never_changes),
        TEST(what_was_not_verified_may_come_again_until_a_tag_leads_to_it),
        TEST(the_same_layer_is_kept_once),
        TEST(images_that_nothing_keeps_go_together_with_their_ancestors),
        TEST(a_chain_has_no_circle_and_an_end),
        TEST(a_chain_is_told_from_its_top_when_all_of_it_is_there),
        TEST(a_few_digits_are_enough_if_they_are_one_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
