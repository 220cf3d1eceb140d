#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/blob.h"
#include "domain/core/pull.h"
#include "domain/core/push.h"
#include "domain/core/repository.h"
#include "domain/core/tag.h"
#include "storage/tables/tbl_content.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"

/* ---- looking ---- */

static uint64_t
repository_id(struct fixture *f, const char *name)
{
    struct rec_repo r;

    OK(f, repository_need(&f->reg, name, &r, &f->err));
    return r.id;
}

static bool
has_edge(struct fixture *f, enum edge_kind kind, const char *repository, const struct digest *to,
         const struct digest *from, const char *tag)
{
    struct edge e = {.to = *to, .kind = kind, .repo = repository_id(f, repository), .tag = tag};
    int rc;

    if (from != NULL)
        e.from = *from;
    rc = tbl_edge_has(kv_reads(f->reg.kv), &e, &f->err);
    assert_in_range(rc, 0, 1);
    return rc == 1;
}

/* The events in order: type, tag, and the beginning of the digest. */
static int
see_event(uint32_t seq, const struct rec_event *r, void *arg, struct err *err)
{
    static const char *const types[] = {[EVENT_IMAGE] = "image",
                                        [EVENT_LAYER] = "layer",
                                        [EVENT_TAG] = "tag",
                                        [EVENT_MANIFEST] = "manifest",
                                        [EVENT_DELETE] = "other"};
    char digest[DIGEST_TEXT_MAX], old[DIGEST_TEXT_MAX];

    (void)seq;
    (void)err;
    digest_hex(digest, &r->digest);
    digest_hex(old, &r->old);
    buf_putf(arg, "%s %s:%s %.8s <- %.8s by %s\n",
             types[r->type] != NULL ? types[r->type] : "other", r->repository, r->tag, digest, old,
             r->actor);
    return 0;
}

static struct buf
events(struct fixture *f)
{
    struct buf b;

    buf_init(&b, 10000);
    OK(f, tbl_event_each(kv_reads(f->reg.kv), 0, see_event, &b, &f->err));
    return b;
}

struct moves {
    int n;
    struct rec_tag_log last;
};

static int
see_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    struct moves *m = arg;

    (void)seq;
    (void)err;
    m->n++;
    m->last = *r;
    return 0;
}

static struct moves
moves(struct fixture *f, const char *repository, const char *tag)
{
    struct moves m = {.n = 0};

    OK(f, tbl_tag_log_each(kv_reads(f->reg.kv), repository_id(f, repository), tag, see_move, &m,
                           &f->err));
    return m;
}

static int
pull(struct fixture *f, const char *repository, const char *tag, const struct digest *d,
     struct pulled *out)
{
    struct reference r = {.tag = tag};

    if (d != NULL)
        r.digest = *d;
    return pull_manifest(&f->reg, repository, &r, true, &f->arena, out, &f->err);
}

/* Pushes the image with the config and layer of these texts; both are pushed before. */
static struct push
push_image(struct fixture *f, const char *tag, const char *config, const char *layer)
{
    struct digest c = fixture_blob(f, "a/b", config), l = fixture_blob(f, "a/b", layer);
    struct push p;

    OK(f, fixture_push(f, "a/b", tag, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p));
    return p;
}

/* ---- pushing and pulling ---- */

static void
what_is_pushed_by_tag_is_pulled_by_tag_and_by_digest(void **state)
{
    struct fixture *f = *state;
    struct push p = push_image(f, "v1", "config", "layer");
    struct digest d;
    struct pulled got;

    digest_of(&d, DIGEST_SHA256, p.document);
    assert_true(digest_equal(&p.digest, &d));
    OK(f, pull(f, "a/b", "v1", NULL, &got));
    assert_true(digest_equal(&got.digest, &d));
    assert_string_equal(got.media_type, OCI_IMAGE);
    assert_int_equal(got.size, p.document.n);
    assert_true(bytes_equal(got.document, p.document));
    assert_string_equal(got.path, "");
    OK(f, pull(f, "a/b", NULL, &d, &got));
    assert_true(bytes_equal(got.document, p.document));

    REFUSED(f, pull(f, "a/b", "v2", NULL, &got), ERR_NO_MANIFEST);
    d = fixture_digest("none");
    REFUSED(f, pull(f, "a/b", NULL, &d, &got), ERR_NO_MANIFEST);
    REFUSED(f, pull(f, "c", "v1", NULL, &got), ERR_NO_REPOSITORY);
    fixture_blob(f, "c", "x");
    REFUSED(f, pull(f, "c", NULL, &p.digest, &got), ERR_NO_MANIFEST);
}

static void
what_is_pushed_by_digest_has_no_tag(void **state)
{
    struct fixture *f = *state;
    struct push p = push_image(f, NULL, "config", "layer");
    struct tag_page page;
    struct pulled got;

    OK(f, pull(f, "a/b", NULL, &p.digest, &got));
    OK(f, tag_list(&f->reg, "a/b", "", 10, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 0);
    assert_false(page.more);
}

static void
a_document_is_named_by_the_digest_that_the_client_chose(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c"), l = fixture_blob(f, "a/b", "l");
    const char *document = fixture_image(f, &c, &l, "");
    struct actor alice = {.user = "alice", .address = ""};
    struct push p = {.repository = "a/b",
                     .document = bytes_str(document),
                     .content_type = OCI_IMAGE,
                     .actor = &alice};
    struct pulled got;

    digest_of(&p.digest, DIGEST_SHA512, p.document);
    OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
    assert_int_equal(p.digest.algo, DIGEST_SHA512);
    OK(f, pull(f, "a/b", NULL, &p.digest, &got));
    p.digest = fixture_digest("another");
    REFUSED(f, push_manifest(&f->reg, &p, &f->arena, &f->err), ERR_DIGEST_MISMATCH);
    p.digest.algo = DIGEST_NONE;
    p.document.n--;
    REFUSED(f, push_manifest(&f->reg, &p, &f->arena, &f->err), ERR_BAD_MANIFEST);
}

static void
what_a_manifest_lacks_is_listed(void **state)
{
    struct fixture *f = *state;
    struct digest here = fixture_blob(f, "a/b", "here"), elsewhere = fixture_blob(f, "c", "there");
    struct digest gone = fixture_digest("gone");
    char want[2][DIGEST_TEXT_MAX];
    struct pulled got;
    struct push p;
    struct buf told;

    REFUSED(f, fixture_push(f, "a/b", "v1", fixture_image(f, &here, &gone, ""), OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
    assert_int_equal(f->err.about_n, 1);
    digest_text(want[0], &gone);
    assert_string_equal(f->err.about[0], want[0]);
    assert_non_null(strstr(f->err.message, "a/b"));
    assert_non_null(strstr(f->err.message, want[0]));

    /* A blob of another repository isn't there either. */
    REFUSED(f, fixture_push(f, "a/b", "v1", fixture_image(f, &elsewhere, &gone, ""), OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
    assert_int_equal(f->err.about_n, 2);
    digest_text(want[digest_compare(&gone, &elsewhere) > 0], &gone);
    digest_text(want[digest_compare(&gone, &elsewhere) < 0], &elsewhere);
    assert_string_equal(f->err.about[0], want[0]);
    assert_string_equal(f->err.about[1], want[1]);

    /* And nothing of it was done. */
    REFUSED(f, pull(f, "a/b", "v1", NULL, &got), ERR_NO_MANIFEST);
    REFUSED(f, pull(f, "a/b", NULL, &p.digest, &got), ERR_NO_MANIFEST);
    assert_false(has_edge(f, EDGE_PART, "a/b", &here, &p.digest, NULL));
    assert_int_equal(moves(f, "a/b", "v1").n, 0);
    told = events(f);
    assert_string_equal(buf_text(&told), "");
    buf_free(&told);
}

static void
a_config_that_is_a_layer_too_is_one_part(void **state)
{
    struct fixture *f = *state;
    struct digest both = fixture_blob(f, "a/b", "both"), gone = fixture_digest("gone");
    struct push p;

    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &both, &both, ""), OCI_IMAGE, &p));
    REFUSED(f, fixture_push(f, "a/b", "v2", fixture_image(f, &gone, &gone, ""), OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
    assert_int_equal(f->err.about_n, 1);
}

static void
an_index_needs_its_children_as_manifests_or_blobs(void **state)
{
    struct fixture *f = *state;
    struct push image = push_image(f, NULL, "config", "layer"), p;
    struct digest cache = fixture_blob(f, "a/b", "cache"), gone = fixture_digest("gone");
    struct digest index;

    OK(f, fixture_push(f, "a/b", "multi", fixture_index(f, &image.digest), OCI_INDEX, &p));
    index = p.digest;
    assert_true(has_edge(f, EDGE_CHILD, "a/b", &image.digest, &index, NULL));
    OK(f, fixture_push(f, "a/b", "cache", fixture_index(f, &cache), OCI_INDEX, &p));
    OK(f, fixture_push(f, "a/b", "nested", fixture_index(f, &index), OCI_INDEX, &p));
    REFUSED(f, fixture_push(f, "a/b", "bad", fixture_index(f, &gone), OCI_INDEX, &p),
            ERR_MISSING_PARTS);
    fixture_blob(f, "c", "x");
    REFUSED(f, fixture_push(f, "c", "bad", fixture_index(f, &image.digest), OCI_INDEX, &p),
            ERR_MISSING_PARTS);
}

/* A manifest is no blob: an image can't have one as its layer. */
static void
an_image_needs_its_parts_as_blobs(void **state)
{
    struct fixture *f = *state;
    struct push image = push_image(f, "v1", "config", "layer"), p;

    REFUSED(f,
            fixture_push(f, "a/b", "v2", fixture_image(f, &image.digest, &image.digest, ""),
                         OCI_IMAGE, &p),
            ERR_MISSING_PARTS);
}

static void
a_layer_with_urls_need_not_be_there(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "config"), away = fixture_digest("away");
    char config[DIGEST_TEXT_MAX], layer[DIGEST_TEXT_MAX];
    const char *document;
    struct push p;

    digest_text(config, &c);
    digest_text(layer, &away);
    document = arena_printf(&f->arena,
                            "{\"schemaVersion\":2,\"config\":"
                            "{\"mediaType\":\"a/b\",\"digest\":\"%s\",\"size\":1},\"layers\":["
                            "{\"mediaType\":\"a/b\",\"digest\":\"%s\",\"size\":1,"
                            "\"urls\":[\"https://example.com/\"]}]}",
                            config, layer);
    OK(f, fixture_push(f, "a/b", "v1", document, OCI_IMAGE, &p));
    assert_false(fixture_has_blob(f, "a/b", &away));
}

static void
a_subject_need_not_be_there_and_is_remembered(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c"), l = fixture_blob(f, "a/b", "l");
    struct digest subject = fixture_digest("subject");
    char text[DIGEST_TEXT_MAX];
    const char *more;
    struct push p;

    digest_text(text, &subject);
    more = arena_printf(&f->arena,
                        ",\"artifactType\":\"a/sbom\",\"subject\":{\"mediaType\":\"" OCI_IMAGE
                        "\",\"digest\":\"%s\",\"size\":1}",
                        text);
    OK(f, fixture_push(f, "a/b", NULL, fixture_image(f, &c, &l, more), OCI_IMAGE, &p));
    assert_true(has_edge(f, EDGE_SUBJECT, "a/b", &subject, &p.digest, NULL));
    assert_int_equal(tbl_edge_kept(kv_reads(f->reg.kv), &subject, &f->err), 0);
    struct rec_manifest r;
    assert_int_equal(
        tbl_manifest_get(kv_reads(f->reg.kv), repository_id(f, "a/b"), &p.digest, &r, &f->err), 1);
    assert_string_equal(r.artifact_type, "a/sbom");
}

/* ---- tags ---- */

static void
a_tag_that_moves_leaves_its_history_and_its_edges_behind_it(void **state)
{
    struct fixture *f = *state;
    struct push one = push_image(f, "v1", "config", "one"), two;
    struct digest layer = fixture_digest("one");
    char first[DIGEST_TEXT_MAX], second[DIGEST_TEXT_MAX], want[400];
    struct pulled got;
    struct moves m;
    struct buf told;

    assert_true(has_edge(f, EDGE_TAG, "a/b", &one.digest, NULL, "v1"));
    assert_true(has_edge(f, EDGE_HELD, "a/b", &one.digest, NULL, NULL));
    assert_true(has_edge(f, EDGE_PART, "a/b", &layer, &one.digest, NULL));
    m = moves(f, "a/b", "v1");
    assert_int_equal(m.n, 1);
    assert_int_equal(m.last.before.algo, DIGEST_NONE);

    two = push_image(f, "v1", "config", "two");
    OK(f, pull(f, "a/b", "v1", NULL, &got));
    assert_true(digest_equal(&got.digest, &two.digest));
    OK(f, pull(f, "a/b", NULL, &one.digest, &got)); /* the old one is still there */
    assert_false(has_edge(f, EDGE_TAG, "a/b", &one.digest, NULL, "v1"));
    assert_true(has_edge(f, EDGE_TAG, "a/b", &two.digest, NULL, "v1"));
    assert_true(has_edge(f, EDGE_HELD, "a/b", &one.digest, NULL, NULL));
    assert_true(has_edge(f, EDGE_PART, "a/b", &layer, &one.digest, NULL));
    m = moves(f, "a/b", "v1");
    assert_int_equal(m.n, 2);
    assert_true(digest_equal(&m.last.before, &one.digest));
    assert_true(digest_equal(&m.last.after, &two.digest));
    assert_string_equal(m.last.by, "alice");

    digest_hex(first, &one.digest);
    digest_hex(second, &two.digest);
    snprintf(want, sizeof want,
             "manifest a/b: %.8s <-  by alice\ntag a/b:v1 %.8s <-  by alice\n"
             "manifest a/b: %.8s <-  by alice\ntag a/b:v1 %.8s <- %.8s by alice\n",
             first, first, second, second, first);
    told = events(f);
    assert_string_equal(buf_text(&told), want);
    buf_free(&told);
}

static void
pushing_the_same_again_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct push p = push_image(f, "v1", "config", "layer"), again;
    struct rec_manifest before, after;
    uint64_t repo = repository_id(f, "a/b");
    struct pulled got;

    assert_int_equal(tbl_manifest_get(kv_reads(f->reg.kv), repo, &p.digest, &before, &f->err), 1);
    fixture_forward_ms(90000); /* long enough for the repository's date to be written too */
    OK(f, fixture_push(f, "a/b", "v1", p.document.p, OCI_IMAGE, &again));
    OK(f, fixture_push(f, "a/b", NULL, p.document.p, OCI_IMAGE, &again));
    assert_int_equal(tbl_manifest_get(kv_reads(f->reg.kv), repo, &p.digest, &after, &f->err), 1);
    assert_int_equal(after.pushed, before.pushed);
    assert_int_equal(moves(f, "a/b", "v1").n, 1);
    assert_true(has_edge(f, EDGE_TAG, "a/b", &p.digest, NULL, "v1"));
    OK(f, pull(f, "a/b", "v1", NULL, &got));
    assert_true(bytes_equal(got.document, p.document));
}

static void
one_push_moves_several_tags(void **state)
{
    static const char *const tags[] = {"latest", "v1", "v1.0"};
    struct fixture *f = *state;
    struct push p = push_image(f, NULL, "config", "layer");
    struct tag_page page;

    p.tags = tags;
    p.tags_n = 3;
    OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
    OK(f, tag_list(&f->reg, "a/b", "", 10, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(page.names[i], tags[i]);
        assert_true(has_edge(f, EDGE_TAG, "a/b", &p.digest, NULL, tags[i]));
        assert_int_equal(moves(f, "a/b", tags[i]).n, 1);
    }
}

static void
tags_are_listed_page_by_page(void **state)
{
    static const char *const tags[] = {"a", "b", "c", "d"};
    struct fixture *f = *state;
    struct push p = push_image(f, NULL, "config", "layer");
    struct tag_page page;
    char far[3000];

    p.tags = tags;
    p.tags_n = 4;
    OK(f, push_manifest(&f->reg, &p, &f->arena, &f->err));
    OK(f, tag_list(&f->reg, "a/b", "", 3, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 3);
    assert_true(page.more);
    OK(f, tag_list(&f->reg, "a/b", "c", 3, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.names[0], "d");
    assert_false(page.more);
    OK(f, tag_list(&f->reg, "a/b", "", 4, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 4);
    assert_false(page.more);
    OK(f, tag_list(&f->reg, "a/b", "", 0, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 0);
    memset(far, 'c', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    OK(f, tag_list(&f->reg, "a/b", far, 3, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 1);
    assert_string_equal(page.names[0], "d");
    REFUSED(f, tag_list(&f->reg, "none", "", 3, &f->arena, &page, &f->err), ERR_NO_REPOSITORY);
}

/* ---- large documents ---- */

/* An image whose document has exactly n bytes. */
static const char *
image_of_size(struct fixture *f, const struct digest *c, const struct digest *l, size_t n)
{
    size_t small = strlen(fixture_image(f, c, l, ",\"x\":\"\""));
    char *more = malloc(n), *end;
    const char *text;

    assert_non_null(more);
    memcpy(more, ",\"x\":\"", 6);
    memset(more + 6, 'x', n - small);
    end = more + 6 + (n - small);
    end[0] = '"';
    end[1] = '\0';
    text = fixture_image(f, c, l, more);
    free(more);
    assert_int_equal(strlen(text), n);
    return text;
}

static void
a_large_manifest_stands_with_the_blobs(void **state)
{
    struct fixture *f = *state;
    struct digest c = fixture_blob(f, "a/b", "c"), l = fixture_blob(f, "a/b", "l");
    struct digest gone = fixture_digest("gone");
    char name[BLOB_FILE_PATH_MAX + 8];
    struct rec_blob r, again;
    struct pulled got;
    struct push p;
    struct buf bytes;

    OK(f, fixture_push(f, "a/b", "fits", image_of_size(f, &c, &l, CONTENT_MAX), OCI_IMAGE, &p));
    assert_int_equal(fixture_layer_files(f), 2);
    OK(f, pull(f, "a/b", "fits", NULL, &got));
    assert_true(bytes_equal(got.document, p.document));

    REFUSED(
        f,
        fixture_push(f, "a/b", "bad", image_of_size(f, &c, &gone, CONTENT_MAX + 1), OCI_IMAGE, &p),
        ERR_MISSING_PARTS);
    assert_int_equal(f->err.about_n, 1);
    assert_int_equal(fixture_layer_files(f), 2); /* what was refused leaves nothing */

    OK(f, fixture_push(f, "a/b", "big", image_of_size(f, &c, &l, CONTENT_MAX + 1), OCI_IMAGE, &p));
    assert_int_equal(fixture_layer_files(f), 3);
    OK(f, pull(f, "a/b", "big", NULL, &got));
    assert_int_equal(got.size, CONTENT_MAX + 1);
    assert_null(got.document.p);
    snprintf(name, sizeof name, "layers/%s", got.path);
    bytes = fixture_read(f, name);
    assert_true(bytes_equal(buf_bytes(&bytes), p.document));
    buf_free(&bytes);
    assert_int_equal(fixture_blob_record(f, &p.digest, &r), 1);
    assert_false(fixture_has_blob(f, "a/b", &p.digest)); /* it was pushed as a manifest */

    OK(f, fixture_push(f, "a/b", "big", p.document.p, OCI_IMAGE, &p));
    OK(f, fixture_push(f, "a/b", "more", p.document.p, OCI_IMAGE, &p));
    assert_int_equal(fixture_blob_record(f, &p.digest, &again), 1);
    assert_int_equal(again.instance, r.instance);
    assert_int_equal(fixture_layer_files(f), 3);
}

static void
a_document_that_is_not_asked_for_is_not_read(void **state)
{
    struct fixture *f = *state;
    struct push p = push_image(f, "v1", "config", "layer");
    struct reference r = {.tag = "v1"};
    struct pulled got;

    OK(f, pull_manifest(&f->reg, "a/b", &r, false, &f->arena, &got, &f->err));
    assert_true(digest_equal(&got.digest, &p.digest));
    assert_int_equal(got.size, p.document.n);
    assert_null(got.document.p);
}

static int
put_other_content(struct txn *t, void *arg, struct err *err)
{
    return tbl_content_put(t, arg, bytes_str("{}"), err);
}

static void
other_bytes_than_those_of_the_digest_are_not_served(void **state)
{
    struct fixture *f = *state;
    struct push p = push_image(f, "v1", "config", "layer");
    struct pulled got;
    struct bytes document;

    fixture_run(f, put_other_content, &p.digest);
    REFUSED(f, pull(f, "a/b", "v1", NULL, &got), ERR_CORRUPT);
    REFUSED(f, pull(f, "a/b", NULL, &p.digest, &got), ERR_CORRUPT);
    REFUSED(f, pull_document(&f->reg, &p.digest, p.document.n, &f->arena, &document, &f->err),
            ERR_CORRUPT);
    /* The same push again has the right ones. */
    push_image(f, "v1", "config", "layer");
    OK(f, pull(f, "a/b", "v1", NULL, &got));
    assert_true(bytes_equal(got.document, p.document));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(what_is_pushed_by_tag_is_pulled_by_tag_and_by_digest),
        TEST(what_is_pushed_by_digest_has_no_tag),
        TEST(a_document_is_named_by_the_digest_that_the_client_chose),
        TEST(what_a_manifest_lacks_is_listed),
        TEST(a_config_that_is_a_layer_too_is_one_part),
        TEST(an_index_needs_its_children_as_manifests_or_blobs),
        TEST(an_image_needs_its_parts_as_blobs),
        TEST(a_layer_with_urls_need_not_be_there),
        TEST(a_subject_need_not_be_there_and_is_remembered),
        TEST(a_tag_that_moves_leaves_its_history_and_its_edges_behind_it),
        TEST(pushing_the_same_again_changes_nothing),
        TEST(one_push_moves_several_tags),
        TEST(tags_are_listed_page_by_page),
        TEST(a_large_manifest_stands_with_the_blobs),
        TEST(a_document_that_is_not_asked_for_is_not_read),
        TEST(other_bytes_than_those_of_the_digest_are_not_served),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
