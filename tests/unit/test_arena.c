#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/arena.h"

static void
memory_is_zeroed_aligned_and_its_own(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    unsigned char *seen[300];
    for (size_t i = 0; i < 300; i++) {
        size_t n = i * 7;
        seen[i] = arena_alloc(&a, n);
        assert_non_null(seen[i]);
        assert_int_equal((uintptr_t)seen[i] % _Alignof(max_align_t), 0);
        for (size_t k = 0; k < n; k++) {
            assert_int_equal(seen[i][k], 0);
        }
        memset(seen[i], (int)(i % 251), n);
    }
    for (size_t i = 0; i < 300; i++) {
        for (size_t k = 0; k < i * 7; k++) {
            assert_int_equal(seen[i][k], i % 251);
        }
    }
    arena_reset(&a);
}

static void
it_never_gives_more_than_its_maximum(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 64);
    assert_null(arena_alloc(&a, 65));
    assert_non_null(arena_alloc(&a, 32));
    assert_non_null(arena_alloc(&a, 32));
    assert_null(arena_alloc(&a, 1));
    assert_null(arena_strdup(&a, "x"));
    assert_null(arena_printf(&a, "%d", 1));
    arena_reset(&a);
    assert_non_null(arena_alloc(&a, 64));
    arena_reset(&a);
}

static void
sizes_that_overflow_fail(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, SIZE_MAX);
    assert_null(arena_alloc(&a, SIZE_MAX));
    assert_null(arena_alloc(&a, SIZE_MAX - 20));
    assert_null(arena_array(&a, SIZE_MAX / 2, 3));
    assert_null(arena_copy(&a, "", SIZE_MAX));
    assert_non_null(arena_array(&a, 3, 5));
    assert_non_null(arena_array(&a, 0, 0));
    arena_reset(&a);
}

static void
texts_are_copied(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char text[] = "hello";
    char *whole = arena_strdup(&a, text);
    char *part = arena_copy(&a, text, 2);
    char *printed = arena_printf(&a, "%s/%d", text, 7);
    text[0] = 'X';
    assert_string_equal(whole, "hello");
    assert_string_equal(part, "he");
    assert_string_equal(printed, "hello/7");
    assert_string_equal(arena_copy(&a, NULL, 0), "");
    arena_reset(&a);
}

static void
a_large_piece_leaves_small_ones_alone(void **state)
{
    (void)state;
    struct arena a;
    arena_init(&a, 1 << 20);
    char *small = arena_strdup(&a, "small");
    char *large = arena_alloc(&a, 100000);
    assert_non_null(large);
    memset(large, 'x', 100000);
    char *next = arena_strdup(&a, "next");
    assert_string_equal(small, "small");
    assert_string_equal(next, "next");
    /* the rest of the first block is still used */
    assert_true(next > small && next < small + 64);
    arena_reset(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_zeroed_aligned_and_its_own),
        cmocka_unit_test(it_never_gives_more_than_its_maximum),
        cmocka_unit_test(sizes_that_overflow_fail),
        cmocka_unit_test(texts_are_copied),
        cmocka_unit_test(a_large_piece_leaves_small_ones_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
