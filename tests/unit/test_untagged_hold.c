#include "store_fixture.h"
#include "domain/core/repository.h"
#include "domain/core/untagged.h"
#include "storage/tables/tbl_manifest.h"

/* A manifest without a tag of which a pushing client was told stays for a lease. */

#define MINUTE (60 * 1000ull)
#define HOUR (60 * MINUTE) /* a lease */
#define AGE (10 * HOUR)

static struct digest
untagged_image(struct fixture *f)
{
    struct digest c = fixture_blob(f, "a/b", "config"), l = fixture_blob(f, "a/b", "layer");
    struct push p;

    OK(f, fixture_push(f, "a/b", NULL, fixture_image(f, &c, &l, ""), OCI_IMAGE, &p));
    return p.digest;
}

static uint64_t
repository(struct fixture *f)
{
    struct rec_repo r;

    OK(f, repository_need(&f->reg, "a/b", &r, &f->err));
    return r.id;
}

static uint64_t
pushed_time(struct fixture *f, const struct digest *d)
{
    struct rec_manifest r;

    assert_int_equal(tbl_manifest_get(kv_reads(f->reg.kv), repository(f), d, &r, &f->err), 1);
    return r.pushed;
}

static bool
stays(struct fixture *f, const struct digest *d)
{
    const struct untagged_rule rule = {.age_ms = AGE};
    struct untagged_walk w = {.repo = 0};
    struct rec_manifest r;
    int rc;

    while ((rc = untagged_step(&f->reg, &w, &rule, &f->err)) == 1)
        ;
    OK(f, rc);
    return tbl_manifest_get(kv_reads(f->reg.kv), repository(f), d, &r, &f->err) == 1;
}

static int
hold(struct fixture *f, const struct digest *d)
{
    return untagged_hold(&f->reg, repository(f), d, &f->err);
}

static void
what_a_client_was_told_stays_for_a_lease(void **state)
{
    struct fixture *f = *state;
    struct digest d = untagged_image(f);
    struct push p;

    f->reg.gc_untagged_ms = AGE;
    fixture_forward_ms(AGE - 20 * MINUTE);
    assert_int_equal(hold(f, &d), 1);
    fixture_forward_ms(50 * MINUTE);
    assert_true(stays(f, &d));
    OK(f, fixture_push(f, "a/b", NULL, fixture_index(f, &d), OCI_INDEX, &p));
    fixture_forward_ms(20 * MINUTE);
    assert_true(stays(f, &d)); /* its index keeps it */
}

static void
it_goes_when_the_lease_is_over(void **state)
{
    struct fixture *f = *state;
    struct digest d = untagged_image(f);

    f->reg.gc_untagged_ms = AGE;
    fixture_forward_ms(AGE - 20 * MINUTE);
    assert_int_equal(hold(f, &d), 1);
    fixture_forward_ms(HOUR + MINUTE);
    assert_false(stays(f, &d));
    assert_int_equal(hold(f, &d), 0);
}

static void
nothing_is_written_without_need(void **state)
{
    struct fixture *f = *state;
    struct digest d = untagged_image(f);
    uint64_t before = pushed_time(f, &d);
    struct push p;

    fixture_forward_ms(2 * AGE);
    assert_int_equal(hold(f, &d), 1); /* manifests without tags stay */
    assert_int_equal(pushed_time(f, &d), before);
    f->reg.gc_untagged_ms = 4 * AGE;
    assert_int_equal(hold(f, &d), 1); /* there is time */
    assert_int_equal(pushed_time(f, &d), before);
    f->reg.gc_untagged_ms = AGE;
    OK(f, fixture_push(f, "a/b", "v1", fixture_index(f, &d), OCI_INDEX, &p));
    assert_int_equal(hold(f, &d), 1); /* an index keeps it */
    assert_int_equal(pushed_time(f, &d), before);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_store, fixture_done)
        T(what_a_client_was_told_stays_for_a_lease),
        T(it_goes_when_the_lease_is_over),
        T(nothing_is_written_without_need),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
