#include "store_fixture.h"
#include <stdio.h>
#include "domain/core/census.h"
#include "storage/tables/tbl_blob.h"
#include "storage/tables/tbl_edge.h"
#include "storage/tables/tbl_repo_name.h"
#include "storage/tables/tbl_tally.h"

/* More than a step takes of each kind. */
#define REPOSITORIES 2500
#define BLOBS 350
#define OWNERS 700

static int
fill(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    for (uint64_t i = 1; i <= REPOSITORIES; i++) {
        const struct tally tags = {.kind = TALLY_TAGS, .repo = i};
        char name[32];

        snprintf(name, sizeof name, "r%llu", (unsigned long long)i);
        WANT(tbl_tally_put(t, &tags, 3, err) == 0 && tbl_repo_name_put(t, i, name, err) == 0);
    }
    for (unsigned i = 0; i < BLOBS; i++) {
        const struct rec_blob r = {.size = 10};
        unsigned owners = i == 7 || i == BLOBS - 1 ? OWNERS : i % 3;
        struct digest d;

        digest_of(&d, i % 2 == 0 ? DIGEST_SHA256 : DIGEST_SHA512, bytes_of(&i, sizeof i));
        WANT(tbl_blob_put(t, &d, &r, err) == 0);
        for (unsigned k = 0; k < owners; k++) {
            const struct edge e = {.to = d, .kind = EDGE_MEMBER, .repo = 5 + k};

            WANT(tbl_edge_put(t, &e, err) == 0);
        }
    }
    return 0;
}

static int
remove_tags(struct txn *t, void *arg, struct err *err)
{
    const struct tally tags = {.kind = TALLY_TAGS, .repo = 1};

    (void)arg;
    return tbl_tally_put(t, &tags, 0, err);
}

/* The first two that have the shared blobs. */
static int
remove_repositories(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_repo_name_drop(t, 5, err) != 0 ? -1 : tbl_repo_name_drop(t, 6, err);
}

static struct census_numbers
count_all(struct fixture *f, struct census *c, unsigned *steps)
{
    struct census_numbers n;
    int rc;

    *steps = 0;
    while ((rc = census_step(c, &f->reg, &n, &f->err)) == 1)
        ++*steps;
    OK(f, rc);
    return n;
}

static void
all_is_counted_in_steps(void **state)
{
    struct fixture *f = *state;
    struct census c = {0};
    struct census_numbers n;
    uint64_t shared = 0;
    unsigned steps;

    n = count_all(f, &c, &steps);
    assert_int_equal(n.tags + n.blobs + n.bytes + n.shared_bytes, 0);
    fixture_run(f, fill, NULL);
    for (unsigned i = 0; i < BLOBS; i++) {
        unsigned owners = i == 7 || i == BLOBS - 1 ? OWNERS : i % 3;

        shared += owners > 1 ? 10 * (owners - 1) : 0;
    }
    for (int i = 0; i < 2; i++) { /* it begins anew */
        n = count_all(f, &c, &steps);
        assert_int_equal(n.tags, 3 * REPOSITORIES);
        assert_int_equal(n.blobs, BLOBS);
        assert_int_equal(n.bytes, 10 * BLOBS);
        assert_int_equal(n.shared_bytes, shared);
        assert_true(steps > 10);
    }
    fixture_run(f, remove_tags, NULL);
    assert_int_equal(count_all(f, &c, &steps).tags, 3 * (REPOSITORIES - 1));
    fixture_run(f, remove_repositories, NULL);
    /* Only the two that have many owners are shared now. */
    assert_int_equal(count_all(f, &c, &steps).shared_bytes, 2 * 10 * (OWNERS - 2 - 1));
}

static void
the_last_one_is_kept(void **state)
{
    struct fixture *f = *state;
    const struct census_numbers kept = {.tags = 1, .blobs = 2, .bytes = 3, .shared_bytes = 4};
    struct census_numbers n;
    uint64_t at_ms;

    assert_int_equal(census_last(&f->reg, &n, &at_ms, &f->err), 0);
    OK(f, census_keep(&f->reg, &kept, 1700000000007, &f->err));
    assert_int_equal(census_last(&f->reg, &n, &at_ms, &f->err), 1);
    assert_memory_equal(&n, &kept, sizeof n);
    assert_int_equal(at_ms, 1700000000007);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(all_is_counted_in_steps, fixture_store, fixture_done),
        cmocka_unit_test_setup_teardown(the_last_one_is_kept, fixture_store, fixture_done),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
