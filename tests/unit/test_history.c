#include "history_fixture.h"
#include "v1_images.h"
#include <stdlib.h>
#include <string.h>
#include "domain/access/access.h"
#include "domain/core/delete.h"
#include "domain/core/delete_all.h"
#include "domain/core/garbage.h"
#include "domain/core/history_end.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/blob.h"
#include "domain/core/tag_history.h"
#include "domain/core/undo.h"
#include "domain/core/untagged.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_tag.h"
#include "storage/tables/tbl_tag_log.h"
#include "storage/tables/tbl_trash.h"
#include "util/clock.h"

/* ---- doing and looking ---- */

static struct digest
index_of(struct fixture *f, const char *repository, const char *tag, const struct digest *child)
{
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_index(f, child), OCI_INDEX, &p));
    return p.digest;
}

static bool
is_stored(struct fixture *f, const char *text)
{
    struct digest d = fixture_digest(text);
    struct rec_blob r;

    return fixture_blob_record(f, &d, &r) == 1;
}

/* ---- what is kept ---- */

static void
a_manifest_that_is_deleted_with_its_tag_keeps_its_bytes(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer"), layer = fixture_digest("layer");

    history_forget(f, "a/b", &d);
    assert_false(history_has(f, "a/b", &d));
    assert_true(history_is_trashed(f, "a/b", &d));
    history_pass(f, 5);
    assert_true(history_is_trashed(f, "a/b", &d));
    assert_true(is_stored(f, "layer"));
    assert_true(is_stored(f, "config"));
    history_pass(f, 4);
    assert_false(history_is_trashed(f, "a/b", &d));
    assert_false(is_stored(f, "layer"));
    assert_false(is_stored(f, "config"));
    history_expect_no_edges(f, &d);
    history_expect_no_edges(f, &layer);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    assert_int_equal(fixture_jobs(f, JOB_COLLECT), 0);
}

static void
one_that_lost_its_tag_before_as_well(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer");
    struct digest other = history_image(f, "a/b", "v1", "other"),
                  gone = history_image(f, "a/b", "w", "third");

    history_untag(f, "a/b", "w");
    history_pass(f, 3);
    history_forget(f, "a/b", &d);
    history_forget(f, "a/b", &gone);
    assert_true(history_is_trashed(f, "a/b", &d));
    assert_true(history_is_trashed(f, "a/b", &gone));
    history_pass(f, 5);
    assert_false(history_is_trashed(f, "a/b", &d));
    assert_false(history_is_trashed(f, "a/b", &gone));
    assert_false(is_stored(f, "layer"));
    assert_false(is_stored(f, "third"));
    assert_true(is_stored(f, "other"));
    assert_true(history_has(f, "a/b", &other));
}

static void
one_that_no_tag_ever_named_goes_at_once(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", NULL, "layer");

    history_image(f, "a/b", "other", "other");
    history_forget(f, "a/b", &d);
    assert_false(history_is_trashed(f, "a/b", &d));
    history_pass(f, 2);
    assert_false(is_stored(f, "layer"));
}

static void
the_history_of_another_repository_keeps_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", NULL, "layer");

    history_image(f, "a/b", "other", "other");
    history_image(f, "c/d", "v1", "layer");
    history_forget(f, "c/d", &d);
    history_forget(f, "a/b", &d);
    assert_false(history_is_trashed(f, "a/b", &d));
    assert_true(history_is_trashed(f, "c/d", &d));
    assert_true(is_stored(f, "layer"));
    history_pass(f, 9);
    assert_false(is_stored(f, "layer"));
    history_expect_no_edges(f, &d);
}

static void
an_index_keeps_its_manifests_in_any_order_of_deletion(void **state)
{
    struct fixture *f = *state;

    for (int first = 0; first < 2; first++) {
        struct digest child = history_image(f, "a/b", NULL, "layer");
        struct digest index = index_of(f, "a/b", "v1", &child);

        history_image(f, "a/b", "other", "other");
        history_forget(f, "a/b", first ? &child : &index);
        history_pass(f, first ? 3 : 0);
        history_forget(f, "a/b", first ? &index : &child);
        assert_true(history_is_trashed(f, "a/b", &index));
        assert_true(history_is_trashed(f, "a/b", &child));
        history_pass(f, 5);
        assert_true(history_is_trashed(f, "a/b", &index));
        assert_true(history_is_trashed(f, "a/b", &child));
        assert_true(is_stored(f, "layer"));
        history_pass(f, 4);
        assert_false(history_is_trashed(f, "a/b", &index));
        assert_false(history_is_trashed(f, "a/b", &child));
        assert_false(is_stored(f, "layer"));
        history_expect_no_edges(f, &child);
        history_expect_no_edges(f, &index);
        assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    }
}

static void
a_child_of_an_index_that_stays_goes_in_the_end(void **state)
{
    struct fixture *f = *state;
    struct digest child = history_image(f, "a/b", NULL, "layer");

    index_of(f, "a/b", "v1", &child);
    history_forget(f, "a/b", &child);
    assert_true(history_is_trashed(f, "a/b", &child));
    history_pass(f, 8);
    assert_false(history_is_trashed(f, "a/b", &child));
}

static void
a_large_document_is_kept_too(void **state)
{
    struct fixture *f = *state;
    char *more = fixture_bytes(100000, 1);
    struct digest c = fixture_blob(f, "a/b", "config"), l = fixture_blob(f, "a/b", "layer");
    struct rec_blob r;
    struct push p;

    for (size_t i = 0; i < 100000; i++)
        more[i] = (char)('a' + (unsigned char)more[i] % 26);
    OK(f, fixture_push(f, "a/b", "v1",
                       fixture_image(f, &c, &l, arena_printf(&f->arena, ",\"x\":\"%s\"", more)),
                       OCI_IMAGE, &p));
    free(more);
    history_forget(f, "a/b", &p.digest);
    history_pass(f, 5);
    assert_int_equal(fixture_blob_record(f, &p.digest, &r), 1);
    history_pass(f, 4);
    assert_int_equal(fixture_blob_record(f, &p.digest, &r), 0);
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
with_history_keep_0_nothing_is_kept(void **state)
{
    struct fixture *f = *state;
    struct digest d;

    f->reg.history_keep_ms = 0;
    d = history_image(f, "a/b", "v1", "layer");
    history_forget(f, "a/b", &d);
    assert_false(history_is_trashed(f, "a/b", &d));
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
    history_pass(f, 2);
    assert_false(is_stored(f, "layer"));
}

static void
a_new_push_makes_the_trash_needless(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer");

    history_forget(f, "a/b", &d);
    history_pass(f, 3);
    history_image(f, "a/b", "v1", "layer");
    history_pass(f, 9);
    assert_false(history_is_trashed(f, "a/b", &d));
    assert_true(history_has(f, "a/b", &d));
    assert_true(is_stored(f, "layer"));
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &d, EDGE_HISTORY, &f->err), 0);
}

static void
collect_untagged(struct fixture *f)
{
    const struct untagged_rule rule = {.age_ms = 1000};
    struct untagged_walk w = {.repo = 0};
    int rc;

    while ((rc = untagged_step(&f->reg, &w, &rule, &f->err)) == 1)
        ;
    OK(f, rc);
}

static void
signatures_wait_for_their_image(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer"), c = fixture_blob(f, "a/b", "config");
    struct digest l = fixture_blob(f, "a/b", "signature");
    char text[DIGEST_TEXT_MAX];
    struct push p;

    digest_text(text, &d);
    OK(f, fixture_push(f, "a/b", NULL,
                       fixture_image(f, &c, &l,
                                     arena_printf(&f->arena,
                                                  ",\"subject\":{\"mediaType\":\"" OCI_IMAGE
                                                  "\",\"digest\":\"%s\",\"size\":1}",
                                                  text)),
                       OCI_IMAGE, &p));
    history_forget(f, "a/b", &d);
    for (unsigned i = 0; i < 3; i++) {
        history_pass(f, 1);
        collect_untagged(f);
        assert_true(history_has(f, "a/b", &p.digest));
    }
    history_pass(f, 6);
    collect_untagged(f);
    assert_false(history_has(f, "a/b", &p.digest));
    assert_false(history_is_trashed(f, "a/b", &p.digest));
}

/* ---- back again ---- */

static void
an_overwritten_tag_comes_back_and_goes_again(void **state)
{
    struct fixture *f = *state;
    struct digest one = history_image(f, "a/b", "v1", "one"),
                  two = history_image(f, "a/b", "v1", "two");
    struct undo u = history_undo_of("a/b", "v1");

    OK(f, undo_last(&f->reg, &u, &f->err));
    assert_true(digest_equal(&u.from, &two) && digest_equal(&u.to, &one));
    history_expect_named(f, "a/b", "v1", &one);
    OK(f, undo_last(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "v1", &two);
    OK(f, undo_to(&f->reg, &u, 1, &f->err));
    history_expect_named(f, "a/b", "v1", &one);
}

static void
a_deleted_tag_comes_back(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "one");
    struct undo u = history_undo_of("a/b", "v1");

    REFUSED(f, undo_restore(&f->reg, &u, &f->err), ERR_EXISTS);
    REFUSED(f, undo_last(&f->reg, &u, &f->err), ERR_NO_MANIFEST);
    REFUSED(f, undo_to(&f->reg, &u, 9, &f->err), ERR_NO_MANIFEST);
    history_untag(f, "a/b", "v1");
    OK(f, undo_restore(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "v1", &d);
    REFUSED(f, undo_to(&f->reg, &u, 2, &f->err), ERR_NO_MANIFEST);
}

static void
a_deleted_manifest_comes_back_with_its_parts(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer"), layer = fixture_digest("layer");
    struct digest config = fixture_digest("config");
    struct undo u = history_undo_of("a/b", "v1");

    history_forget(f, "a/b", &d);
    OK(f, blob_delete(&f->reg, "a/b", &layer, NULL, &history_bob, &f->arena, &f->err));
    assert_false(fixture_has_blob(f, "a/b", &layer));
    history_pass(f, 5);
    OK(f, undo_restore(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "v1", &d);
    assert_true(fixture_has_blob(f, "a/b", &layer));
    assert_true(fixture_has_blob(f, "a/b", &config));
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &layer, EDGE_TRASH_PART, &f->err), 0);
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &d, EDGE_TRASHED, &f->err), 0);
    history_pass(f, 10);
    history_expect_named(f, "a/b", "v1", &d);
    assert_true(fixture_has_blob(f, "a/b", &layer));
    history_forget(f, "a/b", &d);
    history_pass(f, 10);
    assert_int_equal(fixture_layer_files(f), 0);
    history_expect_no_edges(f, &d);
    REFUSED(f, undo_restore(&f->reg, &u, &f->err), ERR_NO_MANIFEST);
}

/* It is back before its index, so a collection of manifests without tags must leave it for a lease.
 */
static bool
is_fresh(struct fixture *f, const struct digest *d)
{
    struct rec_manifest r;

    assert_int_equal(tbl_manifest_get(kv_reads(f->reg.kv), 1, d, &r, &f->err), 1);
    return r.pushed + 600000 > clock_wall_ms(); /* ten minutes */
}

static void
a_deleted_index_comes_back_with_its_manifests(void **state)
{
    struct fixture *f = *state;

    for (int first = 0; first < 2; first++) {
        struct digest child = history_image(f, "a/b", NULL, "layer");
        struct digest index = index_of(f, "a/b", NULL, &child);
        struct digest top = index_of(f, "a/b", "v1", &index);
        struct undo u = history_undo_of("a/b", "v1");

        history_forget(f, "a/b", first ? &child : &top);
        history_forget(f, "a/b", &index);
        history_forget(f, "a/b", first ? &top : &child);
        assert_false(history_has(f, "a/b", &child));
        history_pass(f, 5);
        OK(f, undo_restore(&f->reg, &u, &f->err));
        history_expect_named(f, "a/b", "v1", &top);
        assert_true(history_has(f, "a/b", &child));
        assert_true(history_has(f, "a/b", &index));
        assert_true(is_fresh(f, &child) && is_fresh(f, &index));
        history_pass(f, 20);
        assert_true(history_has(f, "a/b", &child));
        assert_true(is_stored(f, "layer"));
    }
}

static void
the_whole_repository_comes_back(void **state)
{
    struct fixture *f = *state;
    struct repository_batch b = {.n = 0};
    struct digest d[3];
    size_t n;

    for (unsigned i = 0; i < 3; i++)
        d[i] = history_image(f, "a/b", arena_printf(&f->arena, "t%u", i), i % 2 ? "odd" : "even");
    OK(f, delete_all_tags(&f->reg, "a/b", &history_bob, &n, &f->err));
    for (unsigned i = 0; i < 2; i++)
        history_forget(f, "a/b", &d[i]);
    repository_settle(&f->reg, "a/b");
    for (unsigned i = 0; i < 5; i++) {
        history_pass(f, 1);
        OK(f, repository_sweep(&f->reg, &b, &f->err));
    }
    for (unsigned i = 0; i < 3; i++) {
        struct undo u = history_undo_of("a/b", arena_printf(&f->arena, "t%u", i));

        OK(f, undo_restore(&f->reg, &u, &f->err));
        history_expect_named(f, "a/b", u.tag, &d[i]);
    }
}

static void
an_image_of_the_first_api_comes_back_by_its_id(void **state)
{
    struct fixture *f = *state;
    struct digest id = v1_id(2), got;
    struct undo u = history_undo_of("a/b", "v1");

    v1_push(f, 1, 0, "base");
    v1_push(f, 2, 1, "layer");
    OK(f, v1_tag(f, "a/b", "v1", 2));
    history_untag(f, "a/b", "v1");
    history_pass(f, 5);
    assert_true(v1_has_record(f, 1) && v1_has_record(f, 2));
    OK(f, undo_restore(&f->reg, &u, &f->err));
    got = history_named(f, "a/b", "v1");
    assert_true(digest_equal(&got, &id));
    assert_int_equal(fixture_jobs(f, JOB_CONVERT), 2); /* one for each time */
    history_pass(f, 10);
    assert_true(v1_has_record(f, 2));
    history_untag(f, "a/b", "v1");
    history_pass(f, 10);
    assert_false(v1_has_record(f, 1) || v1_has_record(f, 2));
    assert_int_equal(fixture_layer_files(f), 0);
    REFUSED(f, undo_restore(&f->reg, &u, &f->err), ERR_NO_MANIFEST);
}

static void
a_manifest_of_many_tags_comes_back_and_goes(void **state)
{
    struct fixture *f = *state;
    struct undo u = history_undo_of("a/b", "t1299");
    struct digest d;

    for (unsigned i = 0; i < 1300; i++)
        d = history_image(f, "a/b", arena_printf(&f->arena, "t%u", i), "layer");
    history_forget(f, "a/b", &d);
    history_pass(f, 3);
    OK(f, undo_restore(&f->reg, &u, &f->err));
    history_expect_named(f, "a/b", "t1299", &d);
    history_forget(f, "a/b", &d);
    assert_true(history_is_trashed(f, "a/b", &d));
    history_pass(f, 12);
    history_expect_no_edges(f, &d);
    assert_int_equal(fixture_layer_files(f), 0);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
}

static void
the_history_tells_who_did_what(void **state)
{
    struct fixture *f = *state;
    struct digest one = history_image(f, "a/b", "v1", "one"),
                  two = history_image(f, "a/b", "v1", "two");
    struct undo u = history_undo_of("a/b", "v1");
    struct tag_history *h = malloc(sizeof *h);

    assert_non_null(h);
    history_untag(f, "a/b", "v1");
    OK(f, undo_restore(&f->reg, &u, &f->err));
    OK(f, tag_history_read(&f->reg, "a/b", "v1", h, &f->err));
    assert_int_equal(h->n, 4);
    assert_true(h->is_there);
    assert_int_equal(h->v[0].number, 4);
    assert_string_equal(h->v[0].r.by, "command:root");
    assert_int_equal(h->v[0].r.before.algo, DIGEST_NONE);
    assert_true(digest_equal(&h->v[0].r.after, &two));
    assert_string_equal(h->v[1].r.by, "bob");
    assert_true(digest_equal(&h->v[1].r.before, &two));
    assert_int_equal(h->v[1].r.after.algo, DIGEST_NONE);
    assert_true(digest_equal(&h->v[2].r.before, &one));
    assert_string_equal(h->v[2].r.by, "alice");
    assert_int_equal(h->v[3].number, 1);
    REFUSED(f, tag_history_read(&f->reg, "a/b", "none", h, &f->err), ERR_NO_MANIFEST);
    REFUSED(f, tag_history_read(&f->reg, "no/where", "v1", h, &f->err), ERR_NO_REPOSITORY);
    free(h);
}

/* ---- bounds ---- */

static int
count_history_edge(const struct edge *e, void *arg, struct err *err)
{
    (void)e;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static void
the_edges_of_a_tag_are_as_many_as_its_moves(void **state)
{
    struct fixture *f = *state;
    struct digest d[2];
    unsigned n = 0;

    for (unsigned i = 0; i < TAG_LOG_KEPT + 50; i++) {
        d[i % 2] = history_image(f, "a/b", "v1", i % 2 == 0 ? "even" : "odd");
        clock_sleep_ms(2); /* what moves twice in a millisecond has one edge for both */
    }
    history_pass(f, 1);
    for (unsigned i = 0; i < 2; i++)
        OK(f, tbl_edge_each(kv_reads(f->reg.kv), &d[i], EDGE_HISTORY, 0, NULL, count_history_edge,
                            &n, &f->err));
    assert_int_equal(n, TAG_LOG_KEPT);
    history_pass(f, 8);
    assert_int_equal(tbl_edge_any(kv_reads(f->reg.kv), &d[0], EDGE_HISTORY, &f->err), 0);
    assert_int_equal(fixture_jobs(f, JOB_HISTORY), 0);
}

static void
a_repository_stays_as_long_as_its_history(void **state)
{
    struct fixture *f = *state;
    struct digest d = history_image(f, "a/b", "v1", "layer");
    struct repository_batch b = {.n = 0};
    struct rec_repo r;

    history_pass(f, 20);
    history_forget(f, "a/b", &d);
    repository_settle(&f->reg, "a/b");
    for (int i = 0; i < 5; i++) {
        history_pass(f, 1);
        OK(f, repository_sweep(&f->reg, &b, &f->err));
        assert_int_equal(repository_find(&f->reg, "a/b", &r, &f->err), 1);
        assert_int_equal(tbl_tag_log_any(kv_reads(f->reg.kv), r.id, &f->err), 1);
    }
    history_pass(f, 3);
    OK(f, repository_sweep(&f->reg, &b, &f->err));
    assert_int_equal(tbl_tag_log_any(kv_reads(f->reg.kv), r.id, &f->err), 0);
    assert_int_equal(repository_find(&f->reg, "a/b", &r, &f->err), 0);
}

static int
count_moves(const struct tag_log_place *at, const struct rec_tag_log *r, void *arg, struct err *err)
{
    (void)at;
    (void)r;
    (void)err;
    ++*(unsigned *)arg;
    return 0;
}

static void
the_history_of_deleted_tags_is_trimmed(void **state)
{
    struct fixture *f = *state;
    struct tag_log_place at = {.repo = 0}, start = {.repo = 0};

    for (unsigned i = 0; i < 400; i++)
        history_image(f, "a/b", arena_printf(&f->arena, "t%u", i), "layer");
    for (unsigned i = 0; i < 400; i += 2)
        history_untag(f, "a/b", arena_printf(&f->arena, "t%u", i));
    for (int round = 0; round < 2; round++) {
        unsigned left = 0;

        for (int i = 0; i < 20; i++)
            OK(f, history_end_trim(&f->reg, &at, &f->err));
        OK(f, tbl_tag_log_scan(kv_reads(f->reg.kv), &start, count_moves, &left, &f->err));
        assert_int_equal(left, round == 0 ? 600 : 200);
        fixture_forward_ms(HISTORY_END_DELETED_MS + HISTORY_HOUR_MS);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, history_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_manifest_that_is_deleted_with_its_tag_keeps_its_bytes),
        TEST(one_that_lost_its_tag_before_as_well),
        TEST(one_that_no_tag_ever_named_goes_at_once),
        TEST(the_history_of_another_repository_keeps_nothing),
        TEST(an_index_keeps_its_manifests_in_any_order_of_deletion),
        TEST(a_child_of_an_index_that_stays_goes_in_the_end),
        TEST(a_large_document_is_kept_too),
        TEST(with_history_keep_0_nothing_is_kept),
        TEST(a_new_push_makes_the_trash_needless),
        TEST(signatures_wait_for_their_image),
        TEST(an_overwritten_tag_comes_back_and_goes_again),
        TEST(a_deleted_tag_comes_back),
        TEST(a_deleted_manifest_comes_back_with_its_parts),
        TEST(a_deleted_index_comes_back_with_its_manifests),
        TEST(the_whole_repository_comes_back),
        TEST(an_image_of_the_first_api_comes_back_by_its_id),
        TEST(a_manifest_of_many_tags_comes_back_and_goes),
        TEST(the_history_tells_who_did_what),
        TEST(the_edges_of_a_tag_are_as_many_as_its_moves),
        TEST(a_repository_stays_as_long_as_its_history),
        TEST(the_history_of_deleted_tags_is_trimmed),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
