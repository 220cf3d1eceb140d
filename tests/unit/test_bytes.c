#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "util/bytes.h"

static void
bytes_are_ordered_as_memcmp_has_them(void **state)
{
    static const char *const ascending[] = {"", "A", "Aa", "Ab", "B", "\x80", "\xff"};

    (void)state;
    for (int i = 0; i < 7; i++)
        for (int k = 0; k < 7; k++) {
            int order = bytes_compare(bytes_str(ascending[i]), bytes_str(ascending[k]));

            assert_int_equal((order > 0) - (order < 0), (i > k) - (i < k));
        }
    assert_int_equal(bytes_compare(bytes_of(NULL, 0), bytes_of(NULL, 0)), 0);
}

static void
the_rest_begins_behind_the_first_bytes(void **state)
{
    (void)state;
    assert_true(bytes_equal(bytes_after(bytes_str("abc"), 1), bytes_str("bc")));
    assert_int_equal(bytes_after(bytes_str("abc"), 3).n, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_are_ordered_as_memcmp_has_them),
        cmocka_unit_test(the_rest_begins_behind_the_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
