#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "domain/core/delete.h"
#include "domain/core/foreign_images.h"
#include "domain/core/garbage.h"
#include "domain/core/garbage_round.h"
#include "domain/core/gone_set.h"
#include "domain/core/untagged.h"
#include "domain/core/upkeep.h"
#include "storage/tables/tbl_manifest.h"
#include "v1_images.h"

#define SECOND 1000ull
#define HOUR (3600 * SECOND) /* a lease */

/* ---- a round, and what it tells ---- */

struct told {
    char text[8192];
    unsigned went, waits;
    uint64_t bytes, until;
};

static void
tell(const struct garbage_item *item, void *arg)
{
    struct told *told = arg;
    char digest[DIGEST_TEXT_MAX];
    size_t n = strlen(told->text);

    digest_text(digest, item->digest);
    if (item->until == 0) {
        snprintf(told->text + n, sizeof told->text - n, "%d %s\n", (int)item->kind, digest);
        told->went++;
        told->bytes += item->kind != GARBAGE_MANIFEST ? item->size : 0;
    } else {
        told->waits++;
        told->until = item->until;
    }
}

static void
show(const char *what, uint64_t n, void *arg)
{
    (void)what;
    (void)n;
    (void)arg;
}

static bool
is_over(void *arg)
{
    (void)arg;
    return false;
}

static struct told
round_of(struct fixture *f, bool dry_run, bool untagged)
{
    struct told told = {.went = 0};
    struct garbage_round round = {.reg = &f->reg,
                                  .dry_run = dry_run,
                                  .has_untagged = untagged,
                                  .tell = tell,
                                  .show = show,
                                  .is_over = is_over,
                                  .arg = &told};

    f->reg.file_grace_ms = 0;
    OK(f, garbage_round_run(&round, &f->err));
    return told;
}

/* A dry run says what the round then does. */
static struct told
round_as_told(struct fixture *f, bool untagged)
{
    struct told dry = round_of(f, true, untagged), dry2 = round_of(f, true, untagged);
    struct told done;

    assert_string_equal(dry.text, dry2.text);
    done = round_of(f, false, untagged);
    assert_string_equal(dry.text, done.text);
    assert_int_equal(dry.bytes, done.bytes);
    assert_int_equal(dry.waits, done.waits);
    return done;
}

/* ---- manifests ---- */

static struct digest
push_image(struct fixture *f, const char *repository, const char *tag, const char *name,
           const char *more)
{
    struct digest config = fixture_blob(f, repository, "{}"),
                  layer = fixture_blob(f, repository, name);
    struct push p;

    OK(f, fixture_push(f, repository, tag, fixture_image(f, &config, &layer, more), OCI_IMAGE, &p));
    return p.digest;
}

static bool
has_manifest(struct fixture *f, const struct digest *d)
{
    struct rec_manifest r;
    int rc = tbl_manifest_get(kv_reads(f->reg.kv), 1, d, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

static const char *
subject_of(struct fixture *f, const struct digest *d)
{
    char text[DIGEST_TEXT_MAX];

    digest_text(text, d);
    return arena_printf(
        &f->arena, ",\"subject\":{\"mediaType\":\"" OCI_IMAGE "\",\"size\":2,\"digest\":\"%s\"}",
        text);
}

static void
without_a_wish_no_manifest_goes(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", NULL, "one", "");

    fixture_forward_ms(100 * HOUR);
    assert_int_equal(round_as_told(f, false).went, 0);
    assert_true(has_manifest(f, &d));
}

static void
what_nothing_reaches_goes_with_all_that_only_it_reached(void **state)
{
    struct fixture *f = *state;
    struct digest old = push_image(f, "a/b", "v1", "old", "");
    struct digest new = push_image(f, "a/b", "v1", "new", "");
    struct digest part = push_image(f, "a/b", NULL, "part", "");
    struct digest deep = push_image(f, "a/b", NULL, "deep", subject_of(f, &old));
    struct digest deeper = push_image(f, "a/b", NULL, "deeper", subject_of(f, &deep));
    struct digest kept = push_image(f, "a/b", NULL, "kept", subject_of(f, &new));
    struct push index;
    struct told told;

    OK(f, fixture_push(f, "a/b", NULL, fixture_index(f, &part), OCI_INDEX, &index));
    fixture_forward_ms(2 * HOUR);
    told = round_as_told(f, true);
    assert_int_equal(told.went, 5);
    assert_false(has_manifest(f, &old) || has_manifest(f, &deep) || has_manifest(f, &deeper));
    assert_false(has_manifest(f, &index.digest) || has_manifest(f, &part));
    assert_true(has_manifest(f, &new) && has_manifest(f, &kept));
    assert_int_equal(told.waits, 4); /* the layers old, part, deep, deeper; {} is needed */
    fixture_forward_ms(2 * HOUR);
    told = round_as_told(f, true);
    assert_int_equal(told.went, 4);
    assert_int_equal(told.bytes, strlen("old"
                                        "part"
                                        "deep"
                                        "deeper"));
    assert_int_equal(round_as_told(f, true).went, 0);
}

static void
a_tag_that_is_named_after_an_image_keeps_it(void **state)
{
    static const char *const behind[] = {"", ".sig", ".att", "."};
    struct fixture *f = *state;

    for (size_t i = 0; i < 4; i++) {
        char name[16], tag[DIGEST_TEXT_MAX + 8];
        struct digest d, signature;

        snprintf(name, sizeof name, "image %zu", i);
        d = push_image(f, "a/b", NULL, name, "");
        digest_text(tag, &d);
        tag[6] = '-';
        snprintf(tag + strlen(tag), 8, "%s", behind[i]);
        signature = push_image(f, "a/b", tag, "signature", "");
        fixture_forward_ms(2 * HOUR);
        round_as_told(f, true);
        assert_true(has_manifest(f, &d) && has_manifest(f, &signature));
        OK(f, delete_tag(&f->reg, "a/b", tag, NULL, &fixture_actor, &f->arena, &f->err));
        tag[71] = '-'; /* sha256-<hex>-x is another name */
        tag[72] = 'x';
        tag[73] = '\0';
        push_image(f, "a/b", tag, "other", "");
        fixture_forward_ms(2 * HOUR);
        round_as_told(f, true);
        assert_false(has_manifest(f, &d) || has_manifest(f, &signature));
    }
}

static void
the_age_counts_from_the_push_and_from_the_last_tag(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", "v1", "one", "");
    struct untagged_walk w = {.repo = 0};
    const struct untagged_rule rule = {.age_ms = 10 * HOUR};

    fixture_forward_ms(100 * HOUR);
    OK(f, delete_tag(&f->reg, "a/b", "v1", NULL, &fixture_actor, &f->arena, &f->err));
    fixture_forward_ms(10 * HOUR - 60 * SECOND);
    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_true(has_manifest(f, &d));
    fixture_forward_ms(120 * SECOND);
    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_false(has_manifest(f, &d));
    assert_int_equal(w.found, 1);
}

/* Pushes again what was pushed before, by digest. */
static void
push_again(struct fixture *f, const char *name, const struct digest *d)
{
    struct digest same = push_image(f, "a/b", NULL, name, "");

    assert_true(digest_equal(&same, d));
}

static void
a_push_by_digest_of_what_is_there_counts(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", NULL, "one", "");
    struct untagged_walk w = {.repo = 0};
    const struct untagged_rule rule = {.age_ms = 10 * HOUR};

    for (int i = 0; i < 3; i++) {
        fixture_forward_ms(20 * HOUR);
        push_again(f, "one", &d);
        fixture_forward_ms(10 * HOUR - 60 * SECOND);
        assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
        assert_true(has_manifest(f, &d));
    }
    fixture_forward_ms(120 * SECOND);
    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_false(has_manifest(f, &d));
}

/* An index protects a manifest only as long as it is there. */
static void
a_push_of_a_part_counts_when_its_index_goes(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", NULL, "one", "");
    struct untagged_walk w = {.repo = 0};
    const struct untagged_rule rule = {.age_ms = 10 * HOUR};
    struct push index;

    OK(f, fixture_push(f, "a/b", "v1", fixture_index(f, &d), OCI_INDEX, &index));
    fixture_forward_ms(20 * HOUR);
    push_again(f, "one", &d);
    OK(f, delete_manifest(&f->reg, "a/b", &index.digest, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_true(has_manifest(f, &d));
    fixture_forward_ms(11 * HOUR);
    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_false(has_manifest(f, &d));
}

/* ---- a push while a deletion goes on ---- */

static struct digest pushed_again;
static unsigned pushes;

/* Called in the transaction of the deletion, before that reads the manifest, which is as if a push
 * had just been committed. */
static int
push_meanwhile(struct txn *t, const struct registry *reg, const struct digest *id, uint64_t now,
               struct err *err)
{
    struct rec_manifest r;

    (void)reg;
    (void)id;
    pushes++;
    if (tbl_manifest_get_for_update(t, 1, &pushed_again, &r, err) != 1)
        return -1;
    r.pushed = now;
    r.pushed_too = true;
    return tbl_manifest_put(t, 1, &pushed_again, &r, err);
}

struct note {
    struct digest d;
    bool pushed_too;
};

/* Makes it a manifest of a v1 image, so that its deletion calls foreign_images. */
static int
note_origin(struct txn *t, void *arg, struct err *err)
{
    const struct note *note = arg;
    struct rec_manifest r;

    if (tbl_manifest_get_for_update(t, 1, &note->d, &r, err) != 1)
        return -1;
    r.made_from = v1_id(7);
    r.pushed_too = note->pushed_too;
    return tbl_manifest_put(t, 1, &note->d, &r, err);
}

/* The digest of a manifest that is pushed again while it is deleted. */
static struct digest
prepare_push_meanwhile(struct fixture *f, struct foreign_images *foreign, bool pushed_too)
{
    struct note note = {push_image(f, "a/b", NULL, "one", ""), pushed_too};

    OK(f, txn_run(f->reg.kv, note_origin, &note, &f->err));
    *foreign = *f->reg.foreign;
    foreign->lease = push_meanwhile;
    f->reg.foreign = foreign;
    pushed_again = note.d;
    pushes = 0;
    fixture_forward_ms(20 * HOUR);
    return note.d;
}

static void
what_is_pushed_while_it_is_collected_stays(void **state)
{
    struct fixture *f = *state;
    struct foreign_images foreign;
    struct digest d = prepare_push_meanwhile(f, &foreign, true);
    struct untagged_walk w = {.repo = 0};
    const struct untagged_rule rule = {.age_ms = 10 * HOUR};

    assert_int_equal(untagged_step(&f->reg, &w, &rule, &f->err), 0);
    assert_int_equal(pushes, 1);
    assert_int_equal(w.found, 0);
    assert_true(has_manifest(f, &d));
}

static void
a_derived_manifest_that_is_pushed_while_it_is_forgotten_stays(void **state)
{
    struct fixture *f = *state;
    struct foreign_images foreign;
    struct digest d = prepare_push_meanwhile(f, &foreign, false);

    OK(f, delete_derived(&f->reg, 1, &d, &f->err));
    assert_int_equal(pushes, 1);
    assert_true(has_manifest(f, &d));
}

static void
what_was_just_pushed_waits_for_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", NULL, "one", "");
    struct told told;

    fixture_forward_ms(HOUR / 2);
    told = round_as_told(f, true);
    assert_int_equal(told.went, 0);
    assert_int_equal(told.waits, 1);
    assert_true(has_manifest(f, &d));
}

static void
what_the_history_of_a_tag_names_waits_for_its_end(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", "v1", "one", "");
    struct told told;

    f->reg.history_keep_ms = 10 * HOUR;
    fixture_forward_ms(2 * HOUR);
    OK(f, delete_tag(&f->reg, "a/b", "v1", NULL, &fixture_actor, &f->arena, &f->err));
    told = round_as_told(f, true);
    assert_int_equal(told.went, 0);
    assert_int_equal(told.waits, 1);
    assert_true(has_manifest(f, &d));
    fixture_forward_ms(11 * HOUR);
    told = round_as_told(f, true);
    assert_int_equal(told.went, 1);
    assert_false(has_manifest(f, &d));
}

static void
many_manifests_go_in_steps(void **state)
{
    struct fixture *f = *state;
    struct untagged_walk w = {.repo = 0};
    const struct untagged_rule rule = {.age_ms = 1};
    char name[32];
    unsigned steps = 1;

    for (unsigned i = 0; i < 230; i++) {
        snprintf(name, sizeof name, "image %u", i);
        push_image(f, i % 2 == 0 ? "a/b" : "c/d", i % 10 == 0 ? name + 6 : NULL, name, "");
    }
    fixture_forward_ms(2 * HOUR);
    while (untagged_step(&f->reg, &w, &rule, &f->err) == 1)
        steps++;
    assert_int_equal(steps, 3);
    assert_int_equal(w.seen, 230);
    assert_int_equal(w.found, 207);
}

static void
the_keeper_does_it_too(void **state)
{
    struct fixture *f = *state;
    struct digest d = push_image(f, "a/b", NULL, "one", "");
    struct upkeep u = {.named = false};

    fixture_forward_ms(3 * HOUR);
    OK(f, upkeep_step(&u, &f->reg, &f->err));
    assert_true(has_manifest(f, &d));
    f->reg.gc_untagged_ms = 4 * HOUR;
    u.next_untagged_ms = 0;
    OK(f, upkeep_step(&u, &f->reg, &f->err));
    assert_true(has_manifest(f, &d));
    f->reg.gc_untagged_ms = 2 * HOUR;
    u.next_untagged_ms = 0;
    OK(f, upkeep_step(&u, &f->reg, &f->err));
    assert_false(has_manifest(f, &d));
}

/* ---- blobs, images, files ---- */

static void
a_lease_of_nothing_ends_at_once(void **state)
{
    struct fixture *f = *state;

    f->reg.lease_ms = 0;
    push_image(f, "a/b", NULL, "one", "");
    fixture_forward_ms(SECOND);
    assert_int_equal(round_as_told(f, true).went, 3); /* manifest, layer, config */
    assert_int_equal(fixture_layer_files(f), 0);
}

static void
images_of_the_first_api_go_with_their_ancestors(void **state)
{
    struct fixture *f = *state;
    struct told told;

    v1_push(f, 1, 0, "base");
    v1_push(f, 2, 1, "middle");
    v1_push(f, 3, 2, "top");
    v1_push(f, 4, 1, "other");
    OK(f, v1_tag(f, "a/b", "v1", 4));
    fixture_forward_ms(2 * HOUR);
    told = round_as_told(f, false);
    assert_int_equal(told.went, 2);
    assert_true(v1_has_record(f, 1) && v1_has_record(f, 4));
    assert_false(v1_has_record(f, 2) || v1_has_record(f, 3));
    fixture_forward_ms(2 * HOUR);
    told = round_as_told(f, false);
    assert_int_equal(told.went, 2);
    assert_int_equal(told.bytes, strlen("middle"
                                        "top"));
}

static void
a_file_whose_record_is_gone_is_counted_once(void **state)
{
    struct fixture *f = *state;
    struct told told;

    fixture_blob(f, "a/b", "garbage");
    fixture_forward_ms(2 * HOUR);
    assert_in_range(garbage_step(&f->reg, &f->err), 0, 1);
    assert_int_equal(fixture_layer_files(f), 1);
    fixture_forward_ms(2 * HOUR);
    told = round_as_told(f, false);
    assert_int_equal(told.went, 1);
    assert_int_equal(told.bytes, strlen("garbage"));
    assert_int_equal(fixture_layer_files(f), 0);
}

/* ---- the set ---- */

static void
a_set_has_what_was_added(void **state)
{
    struct gone_set s = {.n = 0};
    struct digest d = fixture_digest("x");

    (void)state;
    assert_false(gone_set_has(&s, 1, &d));
    for (uint64_t i = 0; i < 5000; i++) {
        assert_true(gone_set_add(&s, i, &d));
        assert_false(gone_set_add(&s, i, &d));
    }
    for (uint64_t i = 0; i < 10000; i++)
        assert_int_equal(gone_set_has(&s, i, &d), i < 5000);
    gone_set_free(&s);
    assert_false(gone_set_has(&s, 1, &d));
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(without_a_wish_no_manifest_goes),
        TEST(what_nothing_reaches_goes_with_all_that_only_it_reached),
        TEST(a_tag_that_is_named_after_an_image_keeps_it),
        TEST(the_age_counts_from_the_push_and_from_the_last_tag),
        TEST(a_push_by_digest_of_what_is_there_counts),
        TEST(a_push_of_a_part_counts_when_its_index_goes),
        TEST(what_is_pushed_while_it_is_collected_stays),
        TEST(a_derived_manifest_that_is_pushed_while_it_is_forgotten_stays),
        TEST(what_was_just_pushed_waits_for_a_lease),
        TEST(what_the_history_of_a_tag_names_waits_for_its_end),
        TEST(many_manifests_go_in_steps),
        TEST(the_keeper_does_it_too),
        TEST(a_lease_of_nothing_ends_at_once),
        TEST(images_of_the_first_api_go_with_their_ancestors),
        TEST(a_file_whose_record_is_gone_is_counted_once),
        cmocka_unit_test(a_set_has_what_was_added),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
