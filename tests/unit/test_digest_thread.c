#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>
#include "util/digest_thread.h"

#define SIZE (5000000u)

static char bytes[SIZE];

static void
expect_the_same(size_t n, size_t piece)
{
    struct digest_thread *t = digest_thread_begin(DIGEST_SHA256);
    struct digest want, got;

    assert_non_null(t);
    digest_of(&want, DIGEST_SHA256, bytes_of(bytes, n));
    for (size_t at = 0; at < n; at += piece)
        digest_thread_update(t, bytes + at, piece < n - at ? piece : n - at);
    digest_thread_end(t, &got);
    assert_true(digest_equal(&want, &got));
}

static void
any_pieces_give_the_digest_of_the_whole(void **state)
{
    (void)state;
    for (size_t i = 0; i < SIZE; i++)
        bytes[i] = (char)(i * 7 + i / 1000);
    expect_the_same(0, 1);
    expect_the_same(1, 1);
    expect_the_same(100000, 7);
    expect_the_same(262144, 262144);
    expect_the_same(SIZE, 262144);
    expect_the_same(SIZE, 300001);
    expect_the_same(SIZE, SIZE);
}

static void
one_that_is_given_up_ends(void **state)
{
    struct digest_thread *t = digest_thread_begin(DIGEST_SHA512);

    (void)state;
    digest_thread_update(t, bytes, SIZE);
    digest_thread_end(t, NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_pieces_give_the_digest_of_the_whole),
        cmocka_unit_test(one_that_is_given_up_ends),
    };
    return cmocka_run_group_tests_name("digest_thread", tests, NULL, NULL);
}
