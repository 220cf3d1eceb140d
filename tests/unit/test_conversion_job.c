/* From tags of v1 images to tags of manifests, and back to nothing. */
#include "store_fixture.h"
#include "v1_images.h"
#include <stdio.h>
#include <string.h>
#include "domain/core/blob.h"
#include "domain/v1/conversion.h"
#include "domain/v1/conversion_job.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/v1/image.h"
#include "domain/v1/image_push.h"
#include "domain/v1/image_list.h"
#include "domain/v1/image_tag.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/layers/index_file.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_job.h"
#include "storage/tables/tbl_tag.h"
#include "util/fdio.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)
#define HOUR (3600u * 1000)
#define MINUTE (60u * 1000)

/* Sets the index of a layer; why: the reason if the layer is not browsable. */
static void
index_layer(struct fixture *f, const char *text, const char *why)
{
    struct layer_info info = {.layer = fixture_digest(text),
                              .layer_size = strlen(text),
                              .browsable = why == NULL,
                              .diff_id = fixture_digest(text)};
    int fd = index_file_create(f->reg.dirfd, &f->err);
    struct layer_index_writer *w;

    assert_true(fd >= 0);
    snprintf(info.remark, sizeof info.remark, "%s", why != NULL ? why : "");
    w = layer_index_create(fd);
    assert_non_null(w);
    OK(f, layer_index_put_info(w, &info, &f->err));
    OK(f, layer_index_finish(w, &f->err));
    layer_index_free(w);
    OK(f, index_file_publish(f->reg.dirfd, fd, &info.layer, &f->err));
    fdio_close(fd);
}

/* However slow the machine is, the step isn't over before all is done. */
static void
convert_now(struct fixture *f)
{
    fixture_stop_clock(true);
    OK(f, conversion_job_step(&f->reg, true, &f->err));
    fixture_stop_clock(false);
}

/* Images 1 and, on top of it, 2, with their layers indexed. */
static void
push_two(struct fixture *f)
{
    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 1, "two");
    index_layer(f, "one", NULL);
    index_layer(f, "two", NULL);
}

static int
pull(struct fixture *f, const char *repository, const char *tag, struct pulled *out)
{
    struct reference r = {.tag = tag};

    return pull_manifest(&f->reg, repository, &r, true, &f->arena, out, &f->err);
}

static struct digest
pulled_digest(struct fixture *f, const char *repository, const char *tag)
{
    struct pulled p;

    OK(f, pull(f, repository, tag, &p));
    return p.digest;
}

static int
pull_by_digest(struct fixture *f, const char *repository, const struct digest *d)
{
    struct reference r = {.digest = *d};
    struct pulled p;

    return pull_manifest(&f->reg, repository, &r, true, &f->arena, &p, &f->err);
}

static void
assert_v1_tag(struct fixture *f, const char *repository, const char *tag, unsigned n)
{
    struct digest id, want = v1_id(n);

    OK(f, image_list_find(&f->reg, repository, tag, NULL, &id, &f->err));
    assert_true(digest_equal(&id, &want));
}

/* Until nothing is to be collected any more. */
static void
collect_all(struct fixture *f)
{
    for (int i = 0; i < 8; i++) {
        OK(f, garbage_step(&f->reg, &f->err));
        fixture_forward_ms(HOUR + MINUTE);
    }
    OK(f, garbage_step(&f->reg, &f->err));
}

static void
assert_nothing_is_left(struct fixture *f)
{
    collect_all(f);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_false(v1_has_record(f, 1));
    assert_false(v1_has_record(f, 2));
}

/* ---- converting ---- */

static void
tags_name_a_manifest_as_soon_as_all_layers_are_indexed(void **state)
{
    struct fixture *f = *state;
    struct manifest m;
    struct pulled p;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 1, "two");
    OK(f, v1_tag(f, "a/b", "latest", 2));
    OK(f, v1_tag(f, "a/b", "again", 2));
    OK(f, v1_tag(f, "c", "x", 2));
    index_layer(f, "one", NULL);
    fixture_stop_clock(true);
    OK(f, conversion_job_step(&f->reg, false, &f->err));
    REFUSED(f, pull(f, "a/b", "latest", &p), ERR_NOT_CONVERTED);
    assert_int_equal(fixture_jobs(f, JOB_INDEX), 1); /* somebody waits for the other one */

    index_layer(f, "two", NULL);
    OK(f, conversion_job_step(&f->reg, false, &f->err)); /* it waits for a moment, so that it */
    REFUSED(f, pull(f, "a/b", "latest", &p), ERR_NOT_CONVERTED); /* isn't asked all the time */
    convert_now(f);
    OK(f, pull(f, "a/b", "latest", &p));
    assert_string_equal(p.media_type, CONVERSION_MEDIA_TYPE);
    OK(f, manifest_parse(&m, p.document, p.media_type, &f->arena, &f->err));
    assert_true(m.is_image);
    assert_int_equal(m.descriptors_n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(fixture_has_blob(f, "a/b", &m.descriptors[i].digest));
        assert_true(fixture_has_blob(f, "c", &m.descriptors[i].digest));
    }
    struct digest one = pulled_digest(f, "a/b", "again"), two = pulled_digest(f, "c", "x");
    assert_true(digest_equal(&one, &p.digest) && digest_equal(&two, &p.digest));
    assert_v1_tag(f, "a/b", "latest", 2);
    assert_v1_tag(f, "c", "x", 2);
    assert_int_equal(fixture_jobs(f, JOB_CONVERT), 0);
    v1_expect_events(f, "image 01 by alice\nlayer 01=b5ff by alice\nverify 01 by alice\n"
                        "image 02 by alice\nlayer 02=7eef by alice\nverify 02 by alice\n"
                        "tag 02 a/b:latest by alice\ntag 02 a/b:again by alice\n"
                        "tag 02 c:x by alice\n"); /* and none of a manifest */
}

static void
another_tag_of_it_names_the_manifest_at_once(void **state)
{
    struct fixture *f = *state;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "latest", 2));
    convert_now(f);
    OK(f, v1_tag(f, "a/b", "latest", 2));
    OK(f, v1_tag(f, "a/b", "second", 2));
    struct digest one = pulled_digest(f, "a/b", "latest"), two = pulled_digest(f, "a/b", "second");
    assert_true(digest_equal(&one, &two));
    assert_v1_tag(f, "a/b", "second", 2);
    assert_int_equal(fixture_jobs(f, JOB_CONVERT), 0);
    assert_int_equal(fixture_jobs(f, JOB_FORGET), 0);
}

static void
images_that_differ_only_in_their_ids_stay_two(void **state)
{
    struct fixture *f = *state;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 0, "one");
    index_layer(f, "one", NULL);
    OK(f, v1_tag(f, "a/b", "1", 1));
    OK(f, v1_tag(f, "a/b", "2", 2));
    convert_now(f);
    struct digest one = pulled_digest(f, "a/b", "1"), two = pulled_digest(f, "a/b", "2");
    assert_false(digest_equal(&one, &two));
    assert_v1_tag(f, "a/b", "1", 1);
    assert_v1_tag(f, "a/b", "2", 2);
}

static void
many_tags_are_switched_in_several_transactions(void **state)
{
    struct fixture *f = *state;
    char tag[20];

    push_two(f);
    for (unsigned i = 0; i < 250; i++) {
        snprintf(tag, sizeof tag, "t%u", i);
        OK(f, v1_tag(f, i % 2 == 0 ? "a/b" : "c", tag, 2));
        arena_reset(&f->arena);
    }
    convert_now(f);
    struct digest first = pulled_digest(f, "a/b", "t0");
    for (unsigned i = 0; i < 250; i++) {
        snprintf(tag, sizeof tag, "t%u", i);
        struct digest d = pulled_digest(f, i % 2 == 0 ? "a/b" : "c", tag);
        assert_true(digest_equal(&d, &first));
    }
}

static void
what_cannot_be_converted_says_why(void **state)
{
    struct fixture *f = *state;
    struct pulled p;

    v1_push(f, 1, 0, "one");
    v1_push(f, 2, 1, "two");
    index_layer(f, "one", NULL);
    index_layer(f, "two", "it is no tar");
    OK(f, v1_put_text(f, 3, v1_json(f, 3, 1, ",\"config\":{\"User\":7}")));
    OK(f, v1_put_layer(f, 3, "one"));
    OK(f, v1_tag(f, "a/b", "two", 2));
    OK(f, v1_tag(f, "a/b", "three", 3));
    convert_now(f);
    REFUSED(f, pull(f, "a/b", "two", &p), ERR_UNCONVERTIBLE);
    assert_non_null(strstr(f->err.found, "its layer sha256:3fc4ccfe7458 can't be unpacked: it is "
                                         "no tar"));
    REFUSED(f, pull(f, "a/b", "three", &p), ERR_UNCONVERTIBLE);
    assert_string_equal(f->err.found, "in its JSON, config.User must be a string");
    assert_v1_tag(f, "a/b", "two", 2);
    assert_int_equal(fixture_jobs(f, JOB_CONVERT), 0);

    /* Put again, it is tried again: its index may be another one by now. */
    struct digest layer = fixture_digest("two");
    OK(f, index_file_remove(f->reg.dirfd, &layer, &f->err));
    index_layer(f, "two", NULL);
    OK(f, v1_tag(f, "a/b", "two", 2));
    convert_now(f);
    OK(f, pull(f, "a/b", "two", &p));
}

static void
too_long_a_chain_is_not_converted(void **state)
{
    struct fixture *f = *state;
    struct pulled p;

    index_layer(f, "one", NULL);
    for (unsigned i = 1; i <= CONVERSION_LAYERS_MAX + 1; i++)
        v1_push(f, i, i - 1, "one");
    OK(f, v1_tag(f, "a/b", "127", CONVERSION_LAYERS_MAX));
    OK(f, v1_tag(f, "a/b", "128", CONVERSION_LAYERS_MAX + 1));
    convert_now(f);
    OK(f, pull(f, "a/b", "127", &p));
    REFUSED(f, pull(f, "a/b", "128", &p), ERR_UNCONVERTIBLE);
    assert_string_equal(f->err.found, "it has more than 127 layers");
}

static void
a_tag_that_moved_on_meanwhile_is_left_alone(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &config, &layer, "");
    struct push p;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "latest", 2));
    OK(f, fixture_push(f, "a/b", "latest", document, OCI_IMAGE, &p));
    convert_now(f);
    struct digest d = pulled_digest(f, "a/b", "latest");
    assert_true(digest_equal(&d, &p.digest));
    assert_int_equal(fixture_jobs(f, JOB_CONVERT), 0);
}

/* ---- going ---- */

static void
with_its_last_tag_everything_goes(void **state)
{
    struct fixture *f = *state;
    struct pulled p;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "one", 2));
    OK(f, v1_tag(f, "a/b", "two", 2));
    convert_now(f);
    struct digest d = pulled_digest(f, "a/b", "one");
    OK(f, delete_tag(&f->reg, "a/b", "one", NULL, &v1_alice, &f->arena, &f->err));
    collect_all(f);
    OK(f, pull(f, "a/b", "two", &p));
    assert_true(v1_is_seen(f, 1) && v1_is_seen(f, 2));
    OK(f, delete_tag(&f->reg, "a/b", "two", NULL, &v1_alice, &f->arena, &f->err));
    REFUSED(f, pull_by_digest(f, "a/b", &d), ERR_NO_MANIFEST);
    assert_true(v1_is_seen(f, 2)); /* for the time of a lease */
    assert_nothing_is_left(f);
}

static void
a_tag_that_moves_away_takes_it_along_too(void **state)
{
    struct fixture *f = *state;
    struct digest config = fixture_blob(f, "a/b", "config"), layer = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &config, &layer, "");
    struct push p;

    push_two(f);
    v1_push(f, 3, 0, "three");
    index_layer(f, "three", NULL);
    OK(f, v1_tag(f, "a/b", "v1", 2));
    OK(f, v1_tag(f, "a/b", "v2", 1));
    convert_now(f);
    struct digest of_two = pulled_digest(f, "a/b", "v1"), of_one = pulled_digest(f, "a/b", "v2");
    OK(f, v1_tag(f, "a/b", "v1", 3));
    OK(f, fixture_push(f, "a/b", "v2", document, OCI_IMAGE, &p));
    convert_now(f);
    assert_v1_tag(f, "a/b", "v1", 3);
    assert_int_equal(fixture_jobs(f, JOB_FORGET), 2);
    OK(f, garbage_step(&f->reg, &f->err));
    REFUSED(f, pull_by_digest(f, "a/b", &of_two), ERR_NO_MANIFEST);
    REFUSED(f, pull_by_digest(f, "a/b", &of_one), ERR_NO_MANIFEST);
    OK(f, pull_by_digest(f, "a/b", &p.digest));
    collect_all(f);
    assert_false(v1_has_record(f, 1) || v1_has_record(f, 2));
    assert_true(v1_is_seen(f, 3));
}

static void
by_its_digest_it_goes_with_all_tags(void **state)
{
    struct fixture *f = *state;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "one", 2));
    OK(f, v1_tag(f, "a/b", "two", 2));
    convert_now(f);
    struct digest d = pulled_digest(f, "a/b", "one");
    OK(f, delete_manifest(&f->reg, "a/b", &d, NULL, &v1_alice, &f->arena, &f->err));
    v1_expect_events(f, "image 01 by alice\nlayer 01=b5ff by alice\nverify 01 by alice\n"
                        "image 02 by alice\nlayer 02=7eef by alice\nverify 02 by alice\n"
                        "tag 02 a/b:one by alice\ntag 02 a/b:two by alice\n"
                        "untag 02=15a0 a/b:one by alice\nuntag 02=15a0 a/b:two by alice\n"
                        "something 02=15a0 a/b by alice\n");
    assert_nothing_is_left(f);
}

static void
what_a_client_pushed_as_well_stays_until_it_is_deleted(void **state)
{
    struct fixture *f = *state;
    struct pulled made;
    struct push p;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "one", 2));
    convert_now(f);
    OK(f, pull(f, "a/b", "one", &made));
    const char *document =
        arena_printf(&f->arena, "%.*s", (int)made.document.n, (const char *)made.document.p);
    OK(f, fixture_push(f, "a/b", NULL, document, CONVERSION_MEDIA_TYPE, &p));
    assert_true(digest_equal(&p.digest, &made.digest));
    OK(f, fixture_push(f, "a/b", "copy", document, CONVERSION_MEDIA_TYPE, &p));
    assert_v1_tag(f, "a/b", "copy", 2);
    v1_expect_events(f, "image 01 by alice\nlayer 01=b5ff by alice\nverify 01 by alice\n"
                        "image 02 by alice\nlayer 02=7eef by alice\nverify 02 by alice\n"
                        "tag 02 a/b:one by alice\ntag 02=15a0 a/b:copy by alice\n");
    OK(f, delete_tag(&f->reg, "a/b", "copy", NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_tag(&f->reg, "a/b", "one", NULL, &v1_alice, &f->arena, &f->err));
    collect_all(f);
    OK(f, pull_by_digest(f, "a/b", &p.digest));
    OK(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &v1_alice, &f->arena, &f->err));
    assert_nothing_is_left(f);
}

static void
what_an_index_refers_to_stays(void **state)
{
    struct fixture *f = *state;
    struct push p;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "one", 2));
    OK(f, v1_tag(f, "a/b", "two", 2));
    convert_now(f);
    struct digest d = pulled_digest(f, "a/b", "one");
    OK(f, fixture_push(f, "a/b", "list", fixture_index(f, &d), OCI_INDEX, &p));
    OK(f, delete_tag(&f->reg, "a/b", "one", NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_tag(&f->reg, "a/b", "two", NULL, &v1_alice, &f->arena, &f->err));
    collect_all(f);
    OK(f, pull_by_digest(f, "a/b", &d));
    OK(f, delete_manifest(&f->reg, "a/b", &p.digest, NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &d, NULL, &v1_alice, &f->arena, &f->err));
    assert_nothing_is_left(f);
}

static void
in_another_repository_it_stays(void **state)
{
    struct fixture *f = *state;
    struct pulled p;

    push_two(f);
    OK(f, v1_tag(f, "a/b", "x", 2));
    OK(f, v1_tag(f, "c", "x", 2));
    convert_now(f);
    OK(f, delete_tag(&f->reg, "a/b", "x", NULL, &v1_alice, &f->arena, &f->err));
    collect_all(f);
    OK(f, pull(f, "c", "x", &p));
    assert_v1_tag(f, "c", "x", 2);
    /* And comes back, by another conversion. */
    OK(f, v1_tag(f, "a/b", "y", 2));
    convert_now(f);
    struct digest d = pulled_digest(f, "a/b", "y");
    assert_true(digest_equal(&d, &p.digest));
    OK(f, delete_tag(&f->reg, "a/b", "y", NULL, &v1_alice, &f->arena, &f->err));
    OK(f, delete_tag(&f->reg, "c", "x", NULL, &v1_alice, &f->arena, &f->err));
    assert_nothing_is_left(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(tags_name_a_manifest_as_soon_as_all_layers_are_indexed),
        TEST(another_tag_of_it_names_the_manifest_at_once),
        TEST(images_that_differ_only_in_their_ids_stay_two),
        TEST(many_tags_are_switched_in_several_transactions),
        TEST(what_cannot_be_converted_says_why),
        TEST(too_long_a_chain_is_not_converted),
        TEST(a_tag_that_moved_on_meanwhile_is_left_alone),
        TEST(with_its_last_tag_everything_goes),
        TEST(a_tag_that_moves_away_takes_it_along_too),
        TEST(by_its_digest_it_goes_with_all_tags),
        TEST(what_a_client_pushed_as_well_stays_until_it_is_deleted),
        TEST(what_an_index_refers_to_stays),
        TEST(in_another_repository_it_stays),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
