#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/blob.h"
#include "domain/core/delete.h"
#include "domain/core/garbage.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_tag_log.h"

#define SECOND 1000ull
#define HOUR (3600 * SECOND) /* a lease */

static const struct actor bob = {.user = "bob", .address = "192.0.2.2"};

/* ---- doing and looking ---- */

static int
untag(struct fixture *f, const char *repository, const char *tag)
{
    return delete_tag(&f->reg, repository, tag, NULL, &bob, &f->arena, &f->err);
}

static int
forget(struct fixture *f, const char *repository, const struct digest *d)
{
    return delete_manifest(&f->reg, repository, d, NULL, &bob, &f->arena, &f->err);
}

static bool
has(struct fixture *f, const char *repository, const char *tag, const struct digest *d)
{
    struct reference r = {.tag = tag};
    struct pulled got;

    if (d != NULL)
        r.digest = *d;
    if (pull_manifest(&f->reg, repository, &r, true, &f->arena, &got, &f->err) == 0)
        return true;
    assert_int_equal(f->err.code, ERR_NO_MANIFEST);
    return false;
}

static void
expect_tags(struct fixture *f, const char *repository, const char *want)
{
    struct tag_page page;
    struct buf b;

    buf_init(&b, 100000);
    OK(f, tag_list(&f->reg, repository, "", 1000, &f->arena, &page, &f->err));
    for (size_t i = 0; i < page.n; i++)
        buf_putf(&b, "%s ", page.names[i]);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

/* The image of these two blobs, which are pushed before. */
static struct digest
image(struct fixture *f, const char *repository, const char *tag, const char *config,
      const char *layer)
{
    struct digest c = fixture_blob(f, repository, config), l = fixture_blob(f, repository, layer);
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p));
    return p.digest;
}

/* Another tag for what is there. */
static void
also(struct fixture *f, const char *repository, const struct digest *d, const char *tag)
{
    struct reference r = {.digest = *d};
    struct pulled got;
    struct push p;

    OK(f, pull_manifest(&f->reg, repository, &r, true, &f->arena, &got, &f->err));
    OK(f, fixture_push(
              f, repository, tag,
              arena_printf(&f->arena, "%.*s", (int)got.document.n, (const char *)got.document.p),
              got.media_type, &p));
    assert_true(digest_equal(&p.digest, d));
}

static void
pass(struct fixture *f, uint64_t ms)
{
    fixture_forward_ms(ms);
    OK(f, garbage_step(&f->reg, &f->err));
}

static int
see_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    char hex[DIGEST_TEXT_MAX];

    (void)seq;
    (void)err;
    digest_hex(hex, &r->digest);
    if (r->type == EVENT_UNTAG || r->type == EVENT_DELETE)
        buf_putf(arg, "%s %s:%s %.8s by %s\n", r->type == EVENT_UNTAG ? "untag" : "delete",
                 r->repository, r->tag, hex, r->actor);
    return 0;
}

static void
expect_events(struct fixture *f, const char *want)
{
    struct buf b;

    buf_init(&b, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see_event, &b, &f->err));
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static const char *
short_hex(struct fixture *f, const struct digest *d)
{
    char hex[DIGEST_TEXT_MAX];

    digest_hex(hex, d);
    return arena_printf(&f->arena, "%.8s", hex);
}

/* ---- tags ---- */

static void
a_tag_goes_alone(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer");

    also(f, "a/b", &d, "v1.0");
    also(f, "a/b", &d, "v");
    OK(f, untag(f, "a/b", "v1"));
    expect_tags(f, "a/b", "v v1.0 ");
    assert_false(has(f, "a/b", "v1", NULL));
    assert_true(has(f, "a/b", "v1.0", NULL));
    assert_true(has(f, "a/b", NULL, &d));
    expect_events(f, arena_printf(&f->arena, "untag a/b:v1 %s by bob\n", short_hex(f, &d)));
}

static void
what_is_not_there_is_not_deleted(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer"), none = fixture_digest("none");
    struct digest layer = fixture_digest("layer");

    REFUSED(f, untag(f, "a/b", "v2"), ERR_NO_MANIFEST);
    REFUSED(f, untag(f, "a/b", "v"), ERR_NO_MANIFEST);
    REFUSED(f, untag(f, "a", "v1"), ERR_NO_REPOSITORY);
    REFUSED(f, forget(f, "a/b", &none), ERR_NO_MANIFEST);
    REFUSED(f, forget(f, "a/b", &layer), ERR_NO_MANIFEST); /* a blob is no manifest */
    REFUSED(f, forget(f, "c", &d), ERR_NO_REPOSITORY);
    fixture_blob(f, "c", "x");
    REFUSED(f, forget(f, "c", &d), ERR_NO_MANIFEST);
    expect_events(f, "");
    OK(f, untag(f, "a/b", "v1"));
    REFUSED(f, untag(f, "a/b", "v1"), ERR_NO_MANIFEST);
    OK(f, forget(f, "a/b", &d));
    REFUSED(f, forget(f, "a/b", &d), ERR_NO_MANIFEST);
}

static int
see_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    (void)seq;
    (void)err;
    *(struct rec_tag_log *)arg = *r;
    return 0;
}

static void
the_history_of_a_tag_outlives_it(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer");
    struct rec_tag_log last = {.time = 0};
    struct rec_repo repo;

    OK(f, untag(f, "a/b", "v1"));
    OK(f, repository_need(&f->reg, "a/b", &repo, &f->err));
    OK(f, tbl_tag_log_each(kv_reads(f->reg.kv), repo.id, "v1", see_move, &last, &f->err));
    assert_true(digest_equal(&last.before, &d));
    assert_int_equal(last.after.algo, DIGEST_NONE);
    assert_string_equal(last.by, "bob");
}

/* An image whose tag was deleted is still there for the time of a lease. */
static void
the_last_tag_takes_nothing_with_it(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer"), layer = fixture_digest("layer");

    OK(f, untag(f, "a/b", "v1"));
    expect_tags(f, "a/b", "");
    pass(f, 2 * HOUR);
    pass(f, 2 * HOUR);
    assert_true(has(f, "a/b", NULL, &d));
    assert_true(fixture_has_blob(f, "a/b", &layer));
    also(f, "a/b", &d, "v1");
    assert_true(has(f, "a/b", "v1", NULL));
}

/* ---- manifests ---- */

static void
a_manifest_goes_with_its_tags_and_with_no_others(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer");
    struct digest other = image(f, "a/b", "v1.1", "config", "other");

    also(f, "a/b", &d, "v1-x");
    also(f, "a/b", &d, "v");
    image(f, "a", "v1", "config", "layer");
    image(f, "a/b/c", "v1", "config", "layer");
    OK(f, forget(f, "a/b", &d));
    expect_tags(f, "a/b", "v1.1 ");
    assert_false(has(f, "a/b", NULL, &d));
    assert_true(has(f, "a/b", NULL, &other));
    assert_true(has(f, "a", "v1", NULL));
    assert_true(has(f, "a", NULL, &d)); /* the very same document */
    assert_true(has(f, "a/b/c", "v1", NULL));
    const char *hex = short_hex(f, &d);
    expect_events(f, arena_printf(&f->arena,
                                  "untag a/b:v %s by bob\nuntag a/b:v1 %s by bob\n"
                                  "untag a/b:v1-x %s by bob\ndelete a/b: %s by bob\n",
                                  hex, hex, hex, hex));
}

static int
content(struct fixture *f, const struct digest *d)
{
    struct buf b;
    int rc = tbl_content_get(kv_reads(f->reg.kv), d, &b, &f->err);

    buf_free(&b);
    return rc;
}

static void
a_document_goes_with_the_last_repository_that_has_it(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a", "v1", "config", "layer");

    image(f, "b", "v1", "config", "layer");
    OK(f, forget(f, "a", &d));
    assert_int_equal(content(f, &d), 1);
    OK(f, forget(f, "b", &d));
    assert_int_equal(content(f, &d), 0);
    image(f, "a", "v1", "config", "layer");
    assert_true(has(f, "a", "v1", NULL));
}

/* As many as a transaction takes, so that it can't know of the end of them, and some more. */
static void
many_tags_go_too(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", NULL, "config", "layer"), c = fixture_digest("config");
    struct digest l = fixture_digest("layer");

    for (unsigned n = 500; n <= 510; n += 10) {
        const char *tags[PUSH_TAGS_MAX];
        struct push p = {.repository = "a/b",
                         .tags = tags,
                         .document = bytes_str(fixture_image(f, &c, &l, "")),
                         .content_type = OCI_IMAGE,
                         .actor = &bob};

        for (unsigned i = 0; i < n; i += (unsigned)p.tags_n) {
            for (p.tags_n = 0; p.tags_n < PUSH_TAGS_MAX && i + p.tags_n < n; p.tags_n++)
                tags[p.tags_n] = arena_printf(&f->arena, "t%04zu", i + p.tags_n);
            OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
        }
        OK(f, forget(f, "a/b", &d));
        expect_tags(f, "a/b", "");
        assert_false(has(f, "a/b", NULL, &d));
    }
}

static void
a_manifest_named_by_sha512_goes(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c"), l = fixture_blob(f, "a/b", "l"), other;
    struct push p = {.repository = "a/b",
                     .document = bytes_str(fixture_image(f, &c, &l, "")),
                     .content_type = OCI_IMAGE,
                     .actor = &bob};

    other = image(f, "a/b", "v1", "c", "l");
    digest_of(&p.digest, DIGEST_SHA512, p.document);
    OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
    OK(f, forget(f, "a/b", &p.digest));
    assert_false(has(f, "a/b", NULL, &p.digest));
    assert_true(has(f, "a/b", "v1", &other)); /* the same bytes by another name */
}

/* ---- what loses its last keeper ---- */

static void
its_parts_go_when_a_lease_is_over_and_not_before(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer"), config = fixture_digest("config");
    struct digest layer = fixture_digest("layer"), shared = fixture_digest("shared");

    image(f, "a/b", "v2", "config", "shared");
    pass(f, 3 * HOUR); /* the leases of their pushes are over */
    OK(f, forget(f, "a/b", &d));
    pass(f, HOUR - 10 * SECOND);
    assert_true(fixture_has_blob(f, "a/b", &layer));
    pass(f, 20 * SECOND);
    assert_false(fixture_has_blob(f, "a/b", &layer));
    assert_true(fixture_has_blob(f, "a/b", &config)); /* v2 needs it */
    assert_true(fixture_has_blob(f, "a/b", &shared));
    pass(f, 2 * HOUR);
    assert_int_equal(fixture_layer_files(f), 2);
}

/* Somebody was told just before that it is here. */
static void
a_lease_that_still_runs_is_made_longer(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a/b", "v1", "config", "layer"), layer = fixture_digest("layer");
    struct rec_blob before, after;
    struct push p;

    fixture_forward_ms(HOUR - 10 * SECOND);
    assert_int_equal(fixture_blob_record(f, &layer, &before), 1);
    OK(f, forget(f, "a/b", &d));
    assert_int_equal(fixture_blob_record(f, &layer, &after), 1);
    assert_true(after.leased_until >= before.leased_until + HOUR - 20 * SECOND);
    pass(f, HOUR - 10 * SECOND);
    struct digest config = fixture_digest("config");
    OK(f, fixture_push(f, "a/b", "v2", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
    pass(f, 2 * HOUR);
    assert_true(fixture_has_blob(f, "a/b", &layer));
}

static void
a_part_that_another_repository_needs_stays_for_both(void **state)
{
    struct fixture *f = *state;
    struct digest d = image(f, "a", "v1", "config", "layer"), layer = fixture_digest("layer");

    image(f, "b", "v1", "config", "layer");
    OK(f, forget(f, "a", &d));
    pass(f, 3 * HOUR);
    assert_true(fixture_has_blob(f, "b", &layer));
    OK(f, forget(f, "b", &d));
    pass(f, 3 * HOUR);
    assert_false(fixture_has_blob(f, "b", &layer));
    assert_false(fixture_has_blob(f, "a", &layer));
}

static void
a_large_manifest_leaves_no_file(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c");
    char *filler = malloc(CONTENT_MAX + 1);
    struct push p;

    assert_non_null(filler);
    memset(filler, 'x', CONTENT_MAX);
    filler[CONTENT_MAX] = '\0';
    const char *more = arena_printf(&f->arena, ",\"annotations\":{\"x\":\"%s\"}", filler);
    free(filler);
    fixture_blob(f, "c", "c");
    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &c, &c, more), OCI_IMAGE, &p));
    OK(f, fixture_push(f, "c", "v1", fixture_image(f, &c, &c, more), OCI_IMAGE, &p));
    pass(f, 2 * HOUR);
    OK(f, forget(f, "a/b", &p.digest));
    pass(f, 2 * HOUR);
    assert_true(has(f, "c", "v1", NULL)); /* one file for both */
    assert_int_equal(fixture_layer_files(f), 2);
    OK(f, forget(f, "c", &p.digest));
    pass(f, 2 * HOUR);
    pass(f, 2 * HOUR);
    assert_int_equal(fixture_layer_files(f), 0);
}

/* ---- an index, and subjects ---- */

static void
an_index_leaves_its_children(void **state)
{
    struct fixture *f = *state;
    struct digest child = image(f, "a/b", NULL, "config", "layer");
    struct digest layer = fixture_digest("layer");
    struct push p;

    OK(f, fixture_push(f, "a/b", "multi", fixture_index(f, &child), OCI_INDEX, &p));
    OK(f, forget(f, "a/b", &p.digest));
    assert_false(has(f, "a/b", "multi", NULL));
    pass(f, 3 * HOUR);
    assert_true(has(f, "a/b", NULL, &child));
    assert_true(fixture_has_blob(f, "a/b", &layer));
    OK(f, forget(f, "a/b", &child));
    pass(f, 3 * HOUR);
    assert_false(fixture_has_blob(f, "a/b", &layer));
}

/* As the API has it: whoever asks for that gets an index with a hole in it. */
static void
a_child_may_go_before_its_index(void **state)
{
    struct fixture *f = *state;
    struct digest child = image(f, "a/b", "child", "config", "layer");
    struct push p;

    OK(f, fixture_push(f, "a/b", "multi", fixture_index(f, &child), OCI_INDEX, &p));
    OK(f, forget(f, "a/b", &child));
    assert_false(has(f, "a/b", NULL, &child));
    assert_true(has(f, "a/b", "multi", NULL));
    expect_tags(f, "a/b", "multi ");
    OK(f, forget(f, "a/b", &p.digest));
    image(f, "a/b", "child", "config", "layer");
    assert_true(has(f, "a/b", "child", NULL));
}

static void
a_cache_goes_with_the_index_that_named_it(void **state)
{
    struct fixture *f = *state;
    struct digest layer = fixture_blob(f, "a/b", "cached");
    struct push p;

    OK(f, fixture_push(f, "a/b", "cache", fixture_index(f, &layer), OCI_INDEX, &p));
    pass(f, 3 * HOUR);
    assert_true(fixture_has_blob(f, "a/b", &layer));
    OK(f, forget(f, "a/b", &p.digest));
    pass(f, HOUR + SECOND);
    assert_false(fixture_has_blob(f, "a/b", &layer));
}

static void
a_subject_is_pointed_at_no_longer(void **state)
{
    struct fixture *f = *state;
    struct digest subject = image(f, "a/b", "v1", "config", "layer"), c = fixture_digest("config");
    char text[DIGEST_TEXT_MAX];
    struct edge e = {.to = subject, .kind = EDGE_SUBJECT};
    struct rec_repo repo;
    struct push p;

    digest_text(text, &subject);
    const char *more = arena_printf(
        &f->arena, ",\"subject\":{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"%s\",\"size\":1}",
        text);
    OK(f, fixture_push(f, "a/b", NULL, fixture_image(f, &c, &c, more), OCI_IMAGE, &p));
    OK(f, repository_need(&f->reg, "a/b", &repo, &f->err));
    e.repo = repo.id;
    e.from = p.digest;
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err), 1);

    /* The subject may go; what refers to it stays, and still says so. */
    OK(f, forget(f, "a/b", &subject));
    assert_true(has(f, "a/b", NULL, &p.digest));
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err), 1);
    OK(f, forget(f, "a/b", &p.digest));
    assert_int_equal(tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err), 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_tag_goes_alone),
        TEST(what_is_not_there_is_not_deleted),
        TEST(the_history_of_a_tag_outlives_it),
        TEST(the_last_tag_takes_nothing_with_it),
        TEST(a_manifest_goes_with_its_tags_and_with_no_others),
        TEST(a_document_goes_with_the_last_repository_that_has_it),
        TEST(many_tags_go_too),
        TEST(a_manifest_named_by_sha512_goes),
        TEST(its_parts_go_when_a_lease_is_over_and_not_before),
        TEST(a_lease_that_still_runs_is_made_longer),
        TEST(a_part_that_another_repository_needs_stays_for_both),
        TEST(a_large_manifest_leaves_no_file),
        TEST(an_index_leaves_its_children),
        TEST(a_child_may_go_before_its_index),
        TEST(a_cache_goes_with_the_index_that_named_it),
        TEST(a_subject_is_pointed_at_no_longer),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
