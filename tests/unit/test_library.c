/* Libraries that are loaded when they are needed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/library.h"

struct numbers {
    double (*sqrt)(double);
    double (*fabs)(double);
};

static const struct library_function of_numbers[] = {LIBRARY_FUNCTION(numbers, sqrt),
                                                     LIBRARY_FUNCTION(numbers, fabs)};

static void
functions_are_found(void **state)
{
    struct library m = {"libm", "libc6", {"libm.so.6"}, of_numbers, 2};
    struct numbers numbers = {0};
    struct err err;

    (void)state;
    assert_int_equal(library_load(&m, &numbers, &err), 0);
    assert_true(numbers.sqrt(9) > 2.9 && numbers.sqrt(9) < 3.1);
    assert_true(numbers.fabs(-2) > 1.9);
}

static void
the_second_file_is_taken_if_the_first_is_missing(void **state)
{
    struct library m = {"libm", "libc6", {"libnosuch.so.1", "libm.so.6"}, of_numbers, 2};
    struct numbers numbers = {0};
    struct err err;

    (void)state;
    assert_int_equal(library_load(&m, &numbers, &err), 0);
    assert_non_null(numbers.sqrt);
}

static void
a_missing_library_is_named_with_its_package(void **state)
{
    struct library none = {"libnosuch", "libnosuch1", {"libnosuch.so.1"}, of_numbers, 2};
    struct numbers numbers = {0};
    struct err err;

    (void)state;
    assert_int_equal(library_load(&none, &numbers, &err), -1);
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.message, "libnosuch can't be loaded (libnosuch.so.1: "));
    assert_non_null(strstr(err.message, "install the Debian package libnosuch1"));
}

static void
a_library_without_a_function_is_too_old(void **state)
{
    static const struct library_function functions[] = {
        LIBRARY_FUNCTION(numbers, sqrt), {"no_such_function", offsetof(struct numbers, fabs)}};
    struct library m = {"libm", "libc6", {"libm.so.6"}, functions, 2};
    struct numbers numbers = {0};
    struct err err;

    (void)state;
    assert_int_equal(library_load(&m, &numbers, &err), -1);
    assert_string_equal(err.message, "libm has no no_such_function: it is too old");
    assert_null(numbers.sqrt);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(functions_are_found),
        cmocka_unit_test(the_second_file_is_taken_if_the_first_is_missing),
        cmocka_unit_test(a_missing_library_is_named_with_its_package),
        cmocka_unit_test(a_library_without_a_function_is_too_old),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
