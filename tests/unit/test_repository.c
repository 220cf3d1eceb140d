#include "v1_images.h"
#include <string.h>
#include "domain/core/blob.h"
#include "domain/core/delete.h"
#include "domain/core/delete_all.h"
#include "domain/core/repository.h"
#include "domain/core/upload.h"
#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl_tally.h"
#include "storage/tables/tbl_tag_log.h"

#define HOUR (60ull * 60 * 1000) /* a lease */

static void
expect_meant(struct fixture *f, const char *name, const char *want)
{
    const char *meant;

    OK(f, repository_meant(&f->reg, &fixture_actor, name, &f->arena, &meant, &f->err));
    assert_string_equal(meant, want);
}

static void
push(struct fixture *f, const char *repository)
{
    struct digest blob = fixture_blob(f, repository, "blob");
    struct push p;

    OK(f, fixture_push(f, repository, "v1", fixture_image(f, &blob, &blob, ""), OCI_IMAGE, &p));
}

/* ---- which one is meant by a short name ---- */

static void
without_either_it_is_called_as_it_was_sent(void **state)
{
    struct fixture *f = *state;

    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
    fixture_blob(f, "app", "a blob is no image");
    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
}

static void
with_one_of_them_both_names_mean_it(void **state)
{
    struct fixture *f = *state;

    push(f, "short");
    expect_meant(f, "short", "short");
    expect_meant(f, "library/short", "short");
    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "library/long", "v1", 1));
    expect_meant(f, "long", "library/long");
    expect_meant(f, "library/long", "library/long");
    fixture_blob(f, "long", "what has nothing but blobs doesn't count");
    expect_meant(f, "long", "library/long");
}

static void
with_both_each_means_itself_until_one_is_emptied(void **state)
{
    struct fixture *f = *state;
    size_t n;

    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "app", "v1", 1));
    OK(f, v1_tag(f, "library/app", "v1", 1));
    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
    OK(f, delete_all_tags(&f->reg, "app", &v1_alice, &n, &f->err));
    expect_meant(f, "app", "library/app");
}

static void
names_of_more_parts_mean_themselves(void **state)
{
    struct fixture *f = *state;
    char name[256];

    push(f, "a/app");
    push(f, "library/a/b");
    push(f, "other/c");
    expect_meant(f, "app", "app");
    expect_meant(f, "a/b", "a/b");
    expect_meant(f, "library/a/app", "library/a/app");
    expect_meant(f, "library/other/c", "library/other/c");
    expect_meant(f, "c", "c");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_meant(f, name, name);
}

/* ---- when it begins and ends ---- */

static bool
is_there(struct fixture *f, const char *name)
{
    struct rec_repo r;
    int rc = repository_find(&f->reg, name, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1;
}

static uint64_t
counted(struct fixture *f)
{
    const struct tally all = {.kind = TALLY_REPOSITORIES};
    uint64_t n = 0;

    assert_in_range(tbl_tally_get(kv_reads(f->reg.kv), &all, &n, &f->err), 0, 1);
    return n;
}

static void
sweep(struct fixture *f)
{
    struct repository_batch b = {.n = 0};

    OK(f, repository_sweep(&f->reg, &b, &f->err));
}

static void
it_begins_with_what_is_put_into_it(void **state)
{
    struct fixture *f = *state;
    struct digest blob = fixture_blob(f, "a", "blob"), none = fixture_digest("none");
    const char *image = fixture_image(f, &none, &blob, "");
    struct upload u;
    struct push p;

    assert_int_equal(counted(f), 1);
    for (int i = 0; i < 3; i++)
        REFUSED(f, fixture_push(f, "b", "v1", image, OCI_IMAGE, &p), ERR_MISSING_PARTS);
    REFUSED(f, fixture_push(f, "c", "v1", "no JSON", OCI_IMAGE, &p), ERR_BAD_MANIFEST);
    REFUSED(f, v1_tag(f, "d", "v1", 9), ERR_NO_IMAGE);
    OK(f, upload_begin(&f->reg, "e", &v1_alice, &u, &f->err));
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "f", "a", &none, &f->err), 0);
    for (const char *name = "bcdef"; *name != '\0'; name++)
        assert_false(is_there(f, arena_printf(&f->arena, "%c", *name)));
    assert_int_equal(counted(f), 1);
    assert_int_equal(blob_mount(&f->reg, &fixture_actor, "f", "a", &blob, &f->err), 1);
    assert_int_equal(counted(f), 2);
}

static void
an_upload_to_one_too_many_is_refused_at_its_beginning(void **state)
{
    struct fixture *f = *state;
    struct upload u[2];

    f->reg.max_repositories = 2;
    fixture_blob(f, "a", "blob");
    OK(f, upload_begin(&f->reg, "b", &v1_alice, &u[0], &f->err)); /* counts nothing yet */
    fixture_blob(f, "c", "blob");
    REFUSED(f, upload_begin(&f->reg, "d", &v1_alice, &u[1], &f->err), ERR_FULL);
    OK(f, upload_begin(&f->reg, "a", &v1_alice, &u[1], &f->err));
    struct digest d = fixture_digest("");
    REFUSED(f, upload_finish(&f->reg, &u[0], &(struct upload_chunk){.body_file = ""}, &d, &f->err),
            ERR_FULL);
    assert_int_equal(counted(f), 2);
}

static void
it_counts_until_its_last_tag_and_manifest_are_deleted(void **state)
{
    struct fixture *f = *state;
    struct digest blob = fixture_blob(f, "a", "blob");
    const char *image = fixture_image(f, &blob, &blob, "");
    struct push p;
    size_t n;

    f->reg.max_repositories = 2;
    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "v1", "one", 1));
    OK(f, fixture_push(f, "a", "v1", image, OCI_IMAGE, &p));
    OK(f, delete_tag(&f->reg, "a", "v1", NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(counted(f), 2);
    OK(f, delete_manifest(&f->reg, "a", &p.digest, NULL, &v1_alice, &f->arena, &f->err));
    assert_int_equal(counted(f), 1);
    assert_true(is_there(f, "a")); /* a push may be going on */
    assert_true(fixture_has_blob(f, "a", &blob));
    OK(f, delete_all_tags(&f->reg, "v1", &v1_alice, &n, &f->err));
    OK(f, delete_all_tags(&f->reg, "v1", &v1_alice, &n, &f->err));
    assert_int_equal(counted(f), 0);
    fixture_blob(f, "b", "blob");
    OK(f, fixture_push(f, "a", "v1", image, OCI_IMAGE, &p));
    assert_int_equal(counted(f), 2);
    REFUSED(f, v1_tag(f, "v1", "one", 1), ERR_FULL);
    OK(f, delete_manifest(&f->reg, "a", &p.digest, NULL, &v1_alice, &f->arena, &f->err));
    OK(f, v1_tag(f, "v1", "one", 1));
    assert_int_equal(counted(f), 2);
}

static int
count_move(uint64_t seq, const struct rec_tag_log *r, void *arg, struct err *err)
{
    (void)seq;
    (void)r;
    (void)err;
    ++*(int *)arg;
    return 0;
}

static void
an_empty_one_is_removed_after_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest blob = fixture_blob(f, "a", "blob"), kept;
    const char *image = fixture_image(f, &blob, &blob, "");
    struct rec_repo r;
    struct blob b;
    struct push p;
    int moves = 0;

    fixture_blob(f, "b", "blob");
    OK(f, fixture_push(f, "a", "v1", image, OCI_IMAGE, &p));
    kept = fixture_blob(f, "kept", "blob");
    OK(f, fixture_push(f, "kept", "v1", image, OCI_IMAGE, &p));
    OK(f, repository_need(&f->reg, "a", &r, &f->err));
    OK(f, delete_manifest(&f->reg, "a", &p.digest, NULL, &v1_alice, &f->arena, &f->err));
    fixture_forward_ms(HOUR - 60000);
    OK(f, blob_need(&f->reg, "b", &blob, true, &b, &f->err)); /* a pusher relies on it */
    sweep(f);
    assert_true(is_there(f, "a"));
    fixture_forward_ms(3 * 60000);
    sweep(f);
    assert_false(is_there(f, "a"));
    assert_true(is_there(f, "b"));
    OK(f, tbl_tag_log_each(kv_reads(f->reg.kv), r.id, "v1", count_move, &moves, &f->err));
    assert_int_equal(moves, 0);
    assert_int_equal(counted(f), 2);
    fixture_forward_ms(2 * HOUR);
    sweep(f);
    assert_false(is_there(f, "b"));
    assert_true(is_there(f, "kept"));
    assert_true(fixture_has_blob(f, "kept", &kept));
    assert_int_equal(counted(f), 1);
    fixture_blob(f, "a", "blob");
    assert_int_equal(counted(f), 2);
    OK(f, repository_need(&f->reg, "a", &r, &f->err));
    assert_true(r.id > 3);
}

static bool
is_named(struct fixture *f, uint64_t id, const char *name)
{
    char got[RECORD_REPOSITORY_MAX + 1];
    int rc = repository_name(&f->reg, id, got, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1 && strcmp(got, name) == 0;
}

static void
its_id_leads_to_its_name_as_long_as_it_exists(void **state)
{
    struct fixture *f = *state;
    char name[RECORD_REPOSITORY_MAX + 1];
    struct rec_repo a, b;

    fixture_blob(f, "a/b", "blob");
    fixture_blob(f, "c", "blob");
    OK(f, repository_need(&f->reg, "a/b", &a, &f->err));
    OK(f, repository_need(&f->reg, "c", &b, &f->err));
    assert_true(is_named(f, a.id, "a/b"));
    assert_true(is_named(f, b.id, "c"));
    fixture_forward_ms(3 * HOUR);
    sweep(f);
    assert_int_equal(repository_name(&f->reg, a.id, name, &f->err), 0);
}

static int
forget_names(struct txn *t, void *arg, struct err *err)
{
    const uint64_t *n = arg;

    for (uint64_t id = 1; id <= *n; id++)
        if (tbl_repo_name_drop(t, id, err) != 0)
            return -1;
    return 0;
}

static void
names_of_an_older_store_are_added_once(void **state)
{
    struct fixture *f = *state;
    char name[8];
    uint64_t n = REPOSITORY_BATCH + 2;

    for (uint64_t i = 1; i <= n; i++) {
        snprintf(name, sizeof name, "r%llu", (unsigned long long)i);
        fixture_blob(f, name, "blob");
    }
    OK(f, txn_run(f->reg.kv, forget_names, &n, &f->err));
    assert_false(is_named(f, 1, "r1"));
    OK(f, repository_name_all(&f->reg, &f->err));
    assert_true(is_named(f, 1, "r1"));
    assert_true(is_named(f, n, name));
    OK(f, txn_run(f->reg.kv, forget_names, &n, &f->err));
    OK(f, repository_name_all(&f->reg, &f->err));
    assert_false(is_named(f, 1, "r1"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_either_it_is_called_as_it_was_sent),
        TEST(with_one_of_them_both_names_mean_it),
        TEST(with_both_each_means_itself_until_one_is_emptied),
        TEST(names_of_more_parts_mean_themselves),
        TEST(it_begins_with_what_is_put_into_it),
        TEST(an_upload_to_one_too_many_is_refused_at_its_beginning),
        TEST(it_counts_until_its_last_tag_and_manifest_are_deleted),
        TEST(an_empty_one_is_removed_after_a_lease),
        TEST(its_id_leads_to_its_name_as_long_as_it_exists),
        TEST(names_of_an_older_store_are_added_once),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
