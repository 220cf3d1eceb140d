#include "v1_images.h"
#include <string.h>
#include "domain/core/catalog.h"
#include "domain/core/delete.h"
#include "domain/core/delete_all.h"
#include "domain/core/garbage.h"
#include "domain/v1/image.h"
#include "domain/v1/image_list.h"
#include "domain/v1/image_tag.h"
#include "domain/core/pull.h"
#include "domain/core/tag.h"

static const struct catalog_filter all_names = {.prefix = NULL};

#define SECOND 1000ull
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE) /* a lease, and an upload's expiry */

/* ---- tags ---- */

static int
see_tag(const char *name, const struct digest *id, void *arg, struct err *err)
{
    (void)err;
    buf_putf(arg, "%s=%02x ", name, id->bytes[0]);
    return 0;
}

static int
see_everywhere(const char *repository, const char *name, const struct digest *id, void *arg,
               struct err *err)
{
    (void)err;
    buf_putf(arg, "%s:%s=%02x ", repository, name, id->bytes[0]);
    return 0;
}

static void
expect_text(struct buf *b, const char *want)
{
    assert_string_equal(buf_text(b), want);
    buf_reset(b);
}

static void
tags_lead_to_images_and_images_are_listed_after_their_parents(void **state)
{
    struct fixture *f = *state;
    struct digest id, *ids;
    struct buf b;
    size_t n;

    buf_init(&b, 1000);
    REFUSED(f, v1_tag(f, "a/b", "latest", 9), ERR_NO_IMAGE);
    REFUSED(f, image_list_tags(&f->reg, "a/b", NULL, see_tag, &b, &f->err), ERR_NO_REPOSITORY);
    for (unsigned i = 1; i <= 4; i++)
        v1_push(f, i, i - 1, "layer");
    v1_push(f, 5, 2, "branch");
    OK(f, v1_tag(f, "a/b", "z", 4));
    OK(f, v1_tag(f, "a/b", "m", 5));
    OK(f, v1_tag(f, "a/b", "a", 2));
    OK(f, v1_tag(f, "library/c", "latest", 1));
    OK(f, image_list_tags(&f->reg, "a/b", NULL, see_tag, &b, &f->err));
    expect_text(&b, "a=02 m=05 z=04 ");
    OK(f, image_list_images(&f->reg, "a/b", NULL, &f->arena, &ids, &n, &f->err));
    for (size_t i = 0; i < n; i++)
        buf_putf(&b, "%02x ", ids[i].bytes[0]);
    expect_text(&b, "01 02 03 04 05 ");
    OK(f, image_list_everywhere(&f->reg, &v1_alice, see_everywhere, &b, &f->err));
    expect_text(&b, "a/b:a=02 a/b:m=05 a/b:z=04 library/c:latest=01 ");
    OK(f, image_list_find(&f->reg, "a/b", "m", NULL, &id, &f->err));
    assert_int_equal(id.bytes[0], 5);
    REFUSED(f, image_list_find(&f->reg, "a/b", "n", NULL, &id, &f->err), ERR_NO_MANIFEST);
    REFUSED(f, image_list_find(&f->reg, "a/c", "m", NULL, &id, &f->err), ERR_NO_MANIFEST);
    buf_free(&b);
}

static void
both_apis_move_and_delete_the_same_tags(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &config, &layer, "");
    struct reference latest = {.tag = "latest"};
    struct catalog_page repositories;
    struct tag_page tags;
    struct pulled pulled;
    struct digest id;
    struct push p;
    struct buf b;
    size_t n;

    buf_init(&b, 1000);
    v1_push(f, 1, 0, "one");
    OK(f, fixture_push(f, "a/b", "latest", document, OCI_IMAGE, &p));
    OK(f, v1_tag(f, "a/b", "latest", 1));
    REFUSED(f, pull_manifest(&f->reg, "a/b", &latest, true, &f->arena, &pulled, &f->err),
            ERR_NOT_CONVERTED);
    OK(f, image_list_find(&f->reg, "a/b", "latest", NULL, &id, &f->err));
    OK(f, fixture_push(f, "a/b", "latest", document, OCI_IMAGE, &p));
    OK(f, image_list_find(&f->reg, "a/b", "latest", NULL, &id, &f->err));
    assert_memory_equal(id.bytes, manifest_id(&p.manifest, &p.digest)->bytes, 32);
    OK(f, pull_manifest(&f->reg, "a/b", &latest, true, &f->arena, &pulled, &f->err));

    OK(f, v1_tag(f, "only/v1", "one", 1));
    OK(f, v1_tag(f, "only/v1", "two", 1));
    OK(f, tag_list(&f->reg, "only/v1", "", 10, &f->arena, &tags, &f->err));
    assert_int_equal(tags.n, 2);
    OK(f, catalog_list(&f->reg, &v1_alice, &all_names, "", 10, &f->arena, &repositories, &f->err));
    assert_int_equal(repositories.n, 2);
    OK(f, delete_tag(&f->reg, "only/v1", "two", NULL, &v1_alice, &f->arena, &f->err));
    OK(f, image_list_tags(&f->reg, "only/v1", NULL, see_tag, &b, &f->err));
    expect_text(&b, "one=01 ");
    OK(f, v1_tag(f, "a/b", "old", 1));
    OK(f, delete_all_tags(&f->reg, "a/b", &v1_alice, &n, &f->err));
    assert_int_equal(n, 2);
    OK(f, delete_all_tags(&f->reg, "a/b", &v1_alice, &n, &f->err));
    assert_int_equal(n, 0);
    OK(f, delete_all_tags(&f->reg, "no/thing", &v1_alice, &n, &f->err));
    assert_int_equal(n, 0);
    OK(f, tag_list(&f->reg, "a/b", "", 10, &f->arena, &tags, &f->err));
    assert_int_equal(tags.n, 0);
    OK(f, delete_all_tags(&f->reg, "only/v1", &v1_alice, &n, &f->err));
    OK(f, catalog_list(&f->reg, &v1_alice, &all_names, "", 10, &f->arena, &repositories, &f->err));
    assert_int_equal(repositories.n, 1); /* the one with a manifest */
    buf_free(&b);
}

static void
each_tag_that_is_put_or_deleted_is_told(void **state)
{
    struct fixture *f = *state;
    size_t n;

    OK(f, v1_put_json(f, 1, 0));
    OK(f, v1_put_layer(f, 1, "x"));
    OK(f, v1_tag(f, "a/b", "latest", 1));
    OK(f, v1_tag(f, "a/b", "latest", 1));
    OK(f, delete_all_tags(&f->reg, "a/b", &v1_alice, &n, &f->err));
    v1_expect_events(f, arena_printf(&f->arena,
                                     "image 01 by alice\nlayer 01=%.4s by alice\n"
                                     "tag 01 a/b:latest by alice\ntag 01 a/b:latest by alice\n"
                                     "untag 01 a/b:latest by alice\n",
                                     v1_payload(f, v1_json(f, 1, 0, ""), "x") + 7));
}

/* ---- garbage ---- */

static void
collect_after(struct fixture *f, uint64_t ms)
{
    fixture_forward_ms(ms);
    OK(f, garbage_step(&f->reg, &f->err));
}

/* Would a pusher be told that it is here? */
static bool
is_promised(struct fixture *f, unsigned n)
{
    struct digest id = v1_id(n);
    struct image image;

    return image_find(&f->reg, &id, true, &image, &f->err) == 0;
}

static void
an_image_that_nothing_keeps_goes_with_its_chain_and_then_its_layers(void **state)
{
    struct fixture *f = *state;
    struct digest id = v1_id(2);

    for (unsigned i = 1; i <= 5; i++)
        v1_push(f, i, i - 1, i == 5 ? "five" : "layer");
    collect_after(f, HOUR - 10 * SECOND);
    assert_true(v1_has_record(f, 5));
    collect_after(f, 20 * SECOND);
    for (unsigned i = 1; i <= 5; i++)
        assert_false(v1_has_record(f, i));
    REFUSED(f, image_json(&f->reg, &id, &f->arena, &(struct bytes){0}, &f->err), ERR_NO_IMAGE);
    assert_int_equal(fixture_layer_files(f), 2);
    collect_after(f, HOUR + SECOND);
    collect_after(f, 2 * MINUTE);
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
what_a_tag_leads_to_stays_until_a_lease_after_the_tag_went(void **state)
{
    struct fixture *f = *state;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 1, "two");
    v1_push(f, 3, 1, "three");
    OK(f, v1_tag(f, "a/b", "latest", 2));
    OK(f, v1_tag(f, "c/d", "latest", 2));
    collect_after(f, 3 * HOUR);
    collect_after(f, 3 * HOUR);
    assert_true(v1_is_seen(f, 1));
    assert_true(v1_is_seen(f, 2));
    assert_false(v1_has_record(f, 3));
    OK(f, delete_tag(&f->reg, "a/b", "latest", NULL, &v1_alice, &f->arena, &f->err));
    collect_after(f, 3 * HOUR);
    assert_true(v1_is_seen(f, 2));
    OK(f, delete_tag(&f->reg, "c/d", "latest", NULL, &v1_alice, &f->arena, &f->err));
    assert_true(is_promised(f, 2));
    collect_after(f, HOUR - 10 * SECOND);
    assert_true(v1_is_seen(f, 2));
    collect_after(f, 20 * SECOND);
    assert_false(v1_has_record(f, 2));
    assert_false(v1_has_record(f, 1));
}

static void
a_tag_that_moves_away_takes_its_image_with_it_after_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &config, &layer, "");
    struct push p;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 0, "two");
    OK(f, fixture_push(f, "a/b", "z", document, OCI_IMAGE, &p));
    OK(f, v1_tag(f, "a/b", "x", 1));
    OK(f, v1_tag(f, "a/b", "y", 2));
    collect_after(f, 3 * HOUR);
    v1_push(f, 3, 0, "three");
    OK(f, fixture_push(f, "a/b", "x", document, OCI_IMAGE, &p)); /* by a manifest */
    OK(f, v1_tag(f, "a/b", "y", 3));                             /* and by another image */
    assert_true(is_promised(f, 1));
    assert_true(is_promised(f, 2));
    collect_after(f, HOUR - 10 * SECOND);
    assert_true(v1_is_seen(f, 1));
    assert_true(v1_is_seen(f, 2));
    collect_after(f, 20 * SECOND);
    assert_false(v1_has_record(f, 1));
    assert_false(v1_has_record(f, 2));
    assert_true(v1_is_seen(f, 3));
}

/* A pusher was told of the base, which only another image keeps, and relies on it. */
static void
what_a_pusher_was_told_is_here_stays_for_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest base = v1_id(1);
    struct image image;

    v1_push(f, 1, 0, "base");
    v1_push(f, 2, 1, "top");
    fixture_forward_ms(HOUR - MINUTE);
    OK(f, image_find(&f->reg, &base, true, &image, &f->err));
    collect_after(f, 2 * MINUTE);
    assert_false(v1_has_record(f, 2));
    assert_true(v1_is_seen(f, 1));
    OK(f, v1_put_json(f, 3, 1));
    collect_after(f, HOUR - 2 * MINUTE);
    assert_true(v1_is_seen(f, 1));
}

/* Else whoever looks whether it is gone would keep it for ever. */
static void
asking_keeps_nothing_that_nothing_keeps_but_sending_does(void **state)
{
    struct fixture *f = *state;
    struct digest id = v1_id(1);
    struct image image;

    v1_push(f, 1, 0, "one");
    for (int i = 0; i < 5; i++) {
        OK(f, image_find(&f->reg, &id, true, &image, &f->err));
        fixture_forward_ms(HOUR / 5 - 5 * SECOND / 5);
    }
    OK(f, image_find(&f->reg, &id, false, &image, &f->err));
    REFUSED(f, image_find(&f->reg, &id, true, &image, &f->err), ERR_NO_IMAGE); /* about to go */
    REFUSED(f, v1_put_json(f, 1, 0), ERR_EXISTS);
    OK(f, image_find(&f->reg, &id, true, &image, &f->err));
    collect_after(f, HOUR - MINUTE);
    OK(f, v1_put_json(f, 2, 1));
    collect_after(f, 2 * MINUTE);
    assert_true(v1_is_seen(f, 1));
}

static void
an_image_without_a_layer_waits_for_it_as_an_upload_does(void **state)
{
    struct fixture *f = *state;

    f->reg.upload_expiry_ms = 10 * HOUR;
    OK(f, v1_put_json(f, 1, 0));
    collect_after(f, 9 * HOUR);
    OK(f, v1_put_layer(f, 1, "late"));
    OK(f, v1_put_json(f, 2, 0));
    collect_after(f, 11 * HOUR);
    assert_false(v1_has_record(f, 2));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(tags_lead_to_images_and_images_are_listed_after_their_parents),
        TEST(both_apis_move_and_delete_the_same_tags),
        TEST(each_tag_that_is_put_or_deleted_is_told),
        TEST(an_image_that_nothing_keeps_goes_with_its_chain_and_then_its_layers),
        TEST(what_a_tag_leads_to_stays_until_a_lease_after_the_tag_went),
        TEST(a_tag_that_moves_away_takes_its_image_with_it_after_a_lease),
        TEST(what_a_pusher_was_told_is_here_stays_for_a_lease),
        TEST(asking_keeps_nothing_that_nothing_keeps_but_sending_does),
        TEST(an_image_without_a_layer_waits_for_it_as_an_upload_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
