#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "domain/core/repository_sizes.h"

static struct repository_sizes sizes;

static int
setup_sizes(void **state)
{
    struct err err;

    (void)state;
    return repository_sizes_make(&sizes, &err);
}

static int
end_sizes(void **state)
{
    (void)state;
    repository_sizes_close(&sizes);
    return 0;
}

static void
nothing_is_known_before_it_is_published(void **state)
{
    struct repository_size v[3];
    uint64_t bytes;

    (void)state;
    assert_false(repository_sizes_find(NULL, 7, &bytes));
    assert_false(repository_sizes_find(&sizes, 7, &bytes));
    repository_sizes_begin(&sizes);
    repository_sizes_add(&sizes, 7, 10);
    assert_false(repository_sizes_find(&sizes, 7, &bytes));
    assert_int_equal(repository_sizes_largest(&sizes, v, 3), 0);
    repository_sizes_add(&sizes, 7, 5);
    repository_sizes_publish(&sizes);
    assert_true(repository_sizes_find(&sizes, 7, &bytes));
    assert_int_equal(bytes, 15);
    assert_false(repository_sizes_find(&sizes, 8, &bytes));
}

static void
a_new_count_replaces_the_former_one(void **state)
{
    uint64_t bytes;

    (void)state;
    for (uint64_t round = 1; round <= 5; round++) {
        repository_sizes_begin(&sizes);
        repository_sizes_add(&sizes, round, 100);
        repository_sizes_begin(&sizes); /* another process counts again, after the first died */
        repository_sizes_add(&sizes, round, round);
        if (round > 1)
            assert_true(repository_sizes_find(&sizes, round - 1, &bytes));
        repository_sizes_publish(&sizes);
        assert_true(repository_sizes_find(&sizes, round, &bytes));
        assert_int_equal(bytes, round);
        assert_false(repository_sizes_find(&sizes, round - 1, &bytes));
    }
}

static void
ids_with_the_same_place_are_told_apart(void **state)
{
    uint64_t bytes, known = 0;

    (void)state;
    repository_sizes_begin(&sizes);
    for (uint64_t i = 1; i <= 100; i++)
        repository_sizes_add(&sizes, 5 + i * REPOSITORY_SIZES_SLOTS, i);
    repository_sizes_publish(&sizes);
    for (uint64_t i = 1; i <= 100; i++)
        if (repository_sizes_find(&sizes, 5 + i * REPOSITORY_SIZES_SLOTS, &bytes)) {
            assert_int_equal(bytes, i);
            known++;
        }
    assert_in_range(known, 10, 99); /* the others have no place */
}

static void
the_largest_come_first(void **state)
{
    struct repository_size v[4];

    (void)state;
    repository_sizes_begin(&sizes);
    for (uint64_t i = 1; i <= 1000; i++)
        repository_sizes_add(&sizes, i, i * 7919 % 1009);
    repository_sizes_publish(&sizes);
    assert_int_equal(repository_sizes_largest(&sizes, v, 4), 4);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(v[i].bytes, v[i].repo * 7919 % 1009);
    assert_true(v[0].bytes >= v[1].bytes && v[1].bytes >= v[2].bytes && v[2].bytes >= v[3].bytes);
    assert_in_range(v[3].bytes, 990, 1008);
    assert_int_equal(repository_sizes_largest(&sizes, v, 0), 0);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup_sizes, end_sizes)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_before_it_is_published),
        TEST(a_new_count_replaces_the_former_one),
        TEST(ids_with_the_same_place_are_told_apart),
        TEST(the_largest_come_first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
