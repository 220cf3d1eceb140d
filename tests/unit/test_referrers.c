#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/delete.h"
#include "domain/core/referrers.h"
#include "storage/tables/tbl_content.h"

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};
static const struct digest from_the_first = {.algo = DIGEST_NONE};

/* ---- pushing ---- */

static const char *
subject_of(struct fixture *f, const struct digest *subject, const char *type, unsigned number)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, subject);
    return arena_printf(&f->arena,
                        ",\"artifactType\":\"%s\",\"annotations\":{\"number\":\"%u\"},"
                        "\"subject\":{\"mediaType\":\"" OCI_IMAGE
                        "\",\"digest\":\"%s\",\"size\":1}",
                        type, number, text);
}

/* Something of that type that refers to the subject. */
static struct digest
attach(struct fixture *f, const char *repository, const struct digest *subject, const char *type,
       unsigned number)
{
    struct digest c = fixture_digest("config");
    struct push p;

    OK(f,
       fixture_push(f, repository, NULL,
                    fixture_image(f, &c, &c, subject_of(f, subject, type, number)), OCI_IMAGE, &p));
    return p.digest;
}

/* Something that refers to nothing. */
static struct digest
detached(struct fixture *f, const char *repository, unsigned number)
{
    struct digest c = fixture_digest("config");
    struct push p;

    OK(f, fixture_push(f, repository, NULL,
                       fixture_image(f, &c, &c,
                                     arena_printf(&f->arena,
                                                  ",\"artifactType\":\"a/old\","
                                                  "\"annotations\":{\"old\":\"%u\"}",
                                                  number)),
                       OCI_IMAGE, &p));
    return p.digest;
}

/* The tag of clients that don't know of subjects, over an index of these. */
static void
put_fallback(struct fixture *f, const char *repository, const struct digest *subject,
             const struct digest *children, size_t n)
{
    char hex[DIGEST_TEXT_MAX], one[DIGEST_TEXT_MAX];
    const char *list = "";
    struct push p;

    for (size_t i = 0; i < n; i++) {
        digest_text(one, &children[i]);
        list = arena_printf(&f->arena,
                            "%s%s{\"mediaType\":\"" OCI_IMAGE "\",\"digest\":\"%s\",\"size\":1}",
                            list, i > 0 ? "," : "", one);
    }
    digest_hex(hex, subject);
    OK(f, fixture_push(f, repository, arena_printf(&f->arena, "sha256-%s", hex),
                       arena_printf(&f->arena, "{\"schemaVersion\":2,\"manifests\":[%s]}", list),
                       OCI_INDEX, &p));
}

/* ---- listing ---- */

struct seen {
    struct digest *digests;
    size_t n, max;
    char last_type[RECORD_TYPE_MAX + 1];
    char number[20]; /* the annotation of the last one */
    int fail_at;     /* fails at this one; -1: never */
};

static int
see(struct referrer *r, void *arg, struct err *err)
{
    struct seen *s = arg;
    const char *number = NULL;

    assert_true(s->n < s->max);
    assert_string_equal(r->media_type, OCI_IMAGE);
    assert_true(r->size > 0);
    s->digests[s->n++] = r->digest;
    snprintf(s->last_type, sizeof s->last_type, "%s", r->artifact_type);
    if (r->annotations != NULL && json_member(r->annotations, "number") != NULL)
        number = json_string(json_member(r->annotations, "number"));
    snprintf(s->number, sizeof s->number, "%s", number != NULL ? number : "");
    json_free(r->annotations);
    return (int)s->n == s->fail_at ? err_set(err, ERR_SYSTEM, "enough") : 0;
}

/* One page behind `after`, added to s. Returns whether there is more. */
static bool
page(struct fixture *f, const char *repository, const struct digest *subject, const char *type,
     const struct digest *after, size_t limit, struct seen *s)
{
    struct arena arena; /* of a request */
    size_t before = s->n;
    struct referrers_page p = {.after = *after, .limit = limit, .artifact_type = type};

    arena_init(&arena, 16u << 20);
    OK(f, referrers_each(&f->reg, repository, subject, &p, &arena, see, s, &f->err));
    arena_reset(&arena);
    assert_true(s->n - before <= limit);
    assert_true(s->n - before == limit || !p.more);
    return p.more;
}

/* All of them, in pages of that size, each behind the last: as many, in order, each once. */
static struct seen
walk(struct fixture *f, const struct digest *subject, const char *type, size_t limit)
{
    struct seen s = {.max = 2000, .fail_at = -1};
    bool more = true;

    s.digests = arena_array(&f->arena, s.max, sizeof *s.digests);
    assert_non_null(s.digests);
    while (more) {
        size_t before = s.n;

        more = page(f, "a/b", subject, type, s.n > 0 ? &s.digests[s.n - 1] : &from_the_first, limit,
                    &s);
        assert_true(!more || s.n > before);
    }
    for (size_t i = 1; i < s.n; i++)
        assert_true(digest_compare(&s.digests[i - 1], &s.digests[i]) < 0);
    return s;
}

static bool
includes(const struct seen *s, const struct digest *d)
{
    for (size_t i = 0; i < s->n; i++)
        if (digest_equal(&s->digests[i], d))
            return true;
    return false;
}

/* ---- the tests ---- */

static void
nothing_refers_to_what_is_not_there(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), big;
    struct seen s = {.fail_at = -1};

    assert_false(page(f, "none", &subject, NULL, &from_the_first, 10, &s));
    fixture_blob(f, "a/b", "config");
    assert_false(page(f, "a/b", &subject, NULL, &from_the_first, 10, &s));
    digest_of(&big, DIGEST_SHA512, bytes_str("subject")); /* its fallback tag has half of it */
    assert_false(page(f, "a/b", &big, NULL, &from_the_first, 10, &s));
    assert_int_equal(s.n, 0);
}

static void
a_referrer_is_listed_with_what_it_says_of_itself(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), d, c = fixture_blob(f, "a/b", "config");
    char text[DIGEST_TEXT_MAX];
    struct push p;

    d = attach(f, "a/b", &subject, "a/sbom", 7);
    struct seen s = walk(f, &subject, NULL, 10);
    assert_int_equal(s.n, 1);
    assert_true(includes(&s, &d));
    assert_string_equal(s.last_type, "a/sbom");
    assert_string_equal(s.number, "7");

    /* Without a type of its own that of its configuration counts; without annotations: none. */
    struct digest other = fixture_digest("other");
    digest_text(text, &other);
    OK(f, fixture_push(f, "a/b", NULL,
                       fixture_image(f, &c, &c,
                                     arena_printf(&f->arena,
                                                  ",\"subject\":{\"mediaType\":\"" OCI_IMAGE
                                                  "\",\"digest\":\"%s\",\"size\":1}",
                                                  text)),
                       OCI_IMAGE, &p));
    s = walk(f, &other, NULL, 10);
    assert_int_equal(s.n, 1);
    assert_string_equal(s.last_type, "a/config");
    assert_string_equal(s.number, "");
    assert_int_equal(walk(f, &other, "a/config", 10).n, 1);
    assert_int_equal(walk(f, &other, "a/conf", 10).n, 0);
}

static void
only_those_of_the_repository_and_the_subject_are_listed(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), other = fixture_digest("other");

    fixture_blob(f, "a/b", "config");
    fixture_blob(f, "c", "config");
    struct digest d = attach(f, "a/b", &subject, "a/sbom", 1);
    attach(f, "a/b", &other, "a/sbom", 2);
    attach(f, "c", &subject, "a/sbom", 3);
    struct seen s = walk(f, &subject, NULL, 10);
    assert_int_equal(s.n, 1);
    assert_true(includes(&s, &d));
}

/* More than are looked up together (128), in pages that end before, at and behind that. */
static void
pages_of_any_size_name_each_once(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), all[140];

    fixture_blob(f, "a/b", "config");
    for (unsigned i = 0; i < 140; i++)
        all[i] = attach(f, "a/b", &subject, i % 3 == 0 ? "a/third" : "a/other", i);
    static const size_t limits[] = {1, 2, 70, 127, 128, 129, 139, 140, 141, 1000};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        struct seen s = walk(f, &subject, NULL, limits[k]);

        assert_int_equal(s.n, 140);
    }
    struct seen s = walk(f, &subject, NULL, 50);
    for (unsigned i = 0; i < 140; i++)
        assert_true(includes(&s, &all[i]));

    /* A filter makes no page shorter, and says rightly whether there are more. */
    static const size_t few[] = {1, 33, 46, 47, 48};
    for (size_t k = 0; k < sizeof few / sizeof few[0]; k++) {
        s = walk(f, &subject, "a/third", few[k]);
        assert_int_equal(s.n, 47);
        assert_string_equal(s.last_type, "a/third");
    }
    assert_int_equal(walk(f, &subject, "a/third-", 10).n, 0);
    assert_int_equal(walk(f, &subject, "", 10).n, 0);
}

static void
a_limit_of_zero_lists_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject");
    struct seen s = {.fail_at = -1};

    fixture_blob(f, "a/b", "config");
    attach(f, "a/b", &subject, "a/sbom", 1);
    page(f, "a/b", &subject, NULL, &from_the_first, 0, &s);
    assert_int_equal(s.n, 0);
}

static void
a_page_begins_behind_what_has_gone(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject");

    fixture_blob(f, "a/b", "config");
    for (unsigned i = 0; i < 9; i++)
        attach(f, "a/b", &subject, "a/sbom", i);
    struct seen all = walk(f, &subject, NULL, 100), rest = walk(f, &subject, NULL, 100);
    OK(f, delete_manifest(&f->reg, "a/b", &all.digests[4], NULL, &alice, &f->arena, &f->err));
    rest.n = 0;
    assert_false(page(f, "a/b", &subject, NULL, &all.digests[4], 100, &rest));
    assert_int_equal(rest.n, 4);
    assert_true(digest_equal(&rest.digests[0], &all.digests[5]));
    rest = walk(f, &subject, NULL, 3);
    assert_int_equal(rest.n, 8);
    assert_false(includes(&rest, &all.digests[4]));
}

static void
the_fallback_tag_is_folded_in(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), mixed[30];

    fixture_blob(f, "a/b", "config");
    /* 140 of the one kind; of the other 20 of its own, and 10 that are in both. */
    for (unsigned i = 0; i < 140; i++) {
        struct digest d = attach(f, "a/b", &subject, "a/new", i);

        if (i < 10)
            mixed[i] = d;
    }
    for (unsigned i = 10; i < 30; i++)
        mixed[i] = detached(f, "a/b", i);
    put_fallback(f, "a/b", &subject, mixed, 30);
    static const size_t limits[] = {1, 7, 127, 128, 129, 159, 160, 161};
    for (size_t k = 0; k < sizeof limits / sizeof limits[0]; k++) {
        struct seen s = walk(f, &subject, NULL, limits[k]);

        assert_int_equal(s.n, 160);
        for (unsigned i = 0; i < 30; i++)
            assert_true(includes(&s, &mixed[i]));
    }
    assert_int_equal(walk(f, &subject, "a/old", 9).n, 20);
    assert_int_equal(walk(f, &subject, "a/new", 9).n, 140);

    /* Those that were deleted are no referrers, whatever the tag says. */
    OK(f, delete_manifest(&f->reg, "a/b", &mixed[29], NULL, &alice, &f->arena, &f->err));
    OK(f, delete_manifest(&f->reg, "a/b", &mixed[0], NULL, &alice, &f->arena, &f->err));
    assert_int_equal(walk(f, &subject, NULL, 50).n, 158);
}

static void
the_fallback_tag_alone_is_enough(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), two[2];
    char hex[DIGEST_TEXT_MAX];

    fixture_blob(f, "a/b", "config");
    for (unsigned i = 0; i < 2; i++)
        two[i] = detached(f, "a/b", i);
    put_fallback(f, "a/b", &subject, two, 2);
    assert_int_equal(walk(f, &subject, NULL, 1).n, 2);
    put_fallback(f, "a/b", &subject, two, 1);
    assert_int_equal(walk(f, &subject, NULL, 1).n, 1);
    put_fallback(f, "a/b", &subject, two, 0);
    assert_int_equal(walk(f, &subject, NULL, 1).n, 0);
    digest_hex(hex, &subject);
    OK(f, delete_tag(&f->reg, "a/b", arena_printf(&f->arena, "sha256-%s", hex), NULL, &alice,
                     &f->arena, &f->err));
    assert_int_equal(walk(f, &subject, NULL, 1).n, 0);
}

/* Somebody may have a tag of that name for something else. */
static void
an_image_in_its_place_is_no_list(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), c = fixture_blob(f, "a/b", "config");
    char hex[DIGEST_TEXT_MAX];
    struct push p;

    digest_hex(hex, &subject);
    OK(f, fixture_push(f, "a/b", arena_printf(&f->arena, "sha256-%s", hex),
                       fixture_image(f, &c, &c, ""), OCI_IMAGE, &p));
    assert_int_equal(walk(f, &subject, NULL, 10).n, 0);
    attach(f, "a/b", &subject, "a/sbom", 1);
    assert_int_equal(walk(f, &subject, NULL, 10).n, 1);
}

static int
spoil_documents(struct txn *t, void *arg, struct err *err)
{
    const struct digest *d = arg;

    if (tbl_content_put(t, &d[0], bytes_str("{\"annotations\":{\"x\":\"1\""), err) != 0)
        return -1;
    return tbl_content_put(t, &d[1], bytes_str("{\"annotations\":{\"number\":\"1\",\"x\":1}}"),
                           err);
}

static void
who_is_told_may_stop_it(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), room[10];
    struct seen s = {.digests = room, .max = 10, .fail_at = 2};
    struct referrers_page p = {.limit = 10};

    fixture_blob(f, "a/b", "config");
    for (unsigned i = 0; i < 5; i++)
        attach(f, "a/b", &subject, "a/sbom", i);
    REFUSED(f, referrers_each(&f->reg, "a/b", &subject, &p, &f->arena, see, &s, &f->err),
            ERR_SYSTEM);
    assert_int_equal(s.n, 2);
}

/* A repository may have been filled before such annotations were refused. */
static void
a_document_that_is_damaged_spoils_no_list(void **state)
{
    struct fixture *f = *state;
    struct digest subject = fixture_digest("subject"), d[3];

    fixture_blob(f, "a/b", "config");
    for (unsigned i = 0; i < 3; i++)
        d[i] = attach(f, "a/b", &subject, "a/sbom", i);
    fixture_run(f, spoil_documents, d);
    struct seen s = walk(f, &subject, NULL, 10);
    assert_int_equal(s.n, 3);
    for (unsigned i = 0; i < 2; i++) {
        struct digest before = d[i];

        assert_true(includes(&s, &d[i]));
        before.bytes[31]--; /* the page begins with this one */
        s.n = 0;
        page(f, "a/b", &subject, NULL, &before, 1, &s);
        assert_true(digest_equal(&s.digests[0], &d[i]));
        assert_string_equal(s.number, ""); /* the annotations are left out */
        s = walk(f, &subject, NULL, 10);
    }
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(nothing_refers_to_what_is_not_there),
        TEST(a_referrer_is_listed_with_what_it_says_of_itself),
        TEST(only_those_of_the_repository_and_the_subject_are_listed),
        TEST(pages_of_any_size_name_each_once),
        TEST(a_limit_of_zero_lists_nothing),
        TEST(a_page_begins_behind_what_has_gone),
        TEST(the_fallback_tag_is_folded_in),
        TEST(the_fallback_tag_alone_is_enough),
        TEST(an_image_in_its_place_is_no_list),
        TEST(who_is_told_may_stop_it),
        TEST(a_document_that_is_damaged_spoils_no_list),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
