#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/buf.h"

static void
what_is_put_comes_out_in_order(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 10000);
    assert_string_equal(buf_text(&b), "");
    buf_puts(&b, "ab");
    buf_putc(&b, 'c');
    buf_put(&b, "d\0e", 3);
    buf_putf(&b, "%d-%s", 42, "x");
    assert_true(buf_ok(&b));
    assert_true(bytes_equal(buf_bytes(&b), bytes_of("abcd\0e42-x", 10)));
    assert_int_equal(buf_text(&b)[10], '\0');
    buf_free(&b);
    assert_string_equal(buf_text(&b), "");
}

static void
it_grows_up_to_its_maximum_and_not_a_byte_further(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 1000);
    for (int i = 0; i < 1000; i++) {
        buf_putc(&b, 'x');
    }
    assert_true(buf_ok(&b));
    assert_int_equal(b.n, 1000);
    buf_putc(&b, 'y');
    assert_false(buf_ok(&b));
    assert_int_equal(b.n, 1000);
    buf_free(&b);
}

static void
a_failure_sticks_until_reset(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 4);
    buf_putf(&b, "%s", "12345");
    buf_puts(&b, "1");
    assert_false(buf_ok(&b));
    assert_null(buf_extend(&b, 1));
    assert_int_equal(b.n, 0);
    buf_reset(&b);
    buf_puts(&b, "1234");
    assert_true(buf_ok(&b));
    assert_string_equal(buf_text(&b), "1234");
    buf_free(&b);
}

static void
sizes_that_overflow_fail(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    buf_putc(&b, 'x');
    assert_null(buf_extend(&b, SIZE_MAX));
    buf_reset(&b);
    buf_putc(&b, 'x');
    assert_null(buf_extend(&b, SIZE_MAX - 1));
    assert_false(buf_ok(&b));
    buf_free(&b);
}

static void
the_caller_can_write_in_place_and_cut(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 100);
    buf_puts(&b, "a");
    memcpy(buf_extend(&b, 5), "bcdef", 5);
    buf_cut(&b, 3);
    assert_string_equal(buf_text(&b), "abc");
    assert_int_equal(b.n, 3);
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_put_comes_out_in_order),
        cmocka_unit_test(it_grows_up_to_its_maximum_and_not_a_byte_further),
        cmocka_unit_test(a_failure_sticks_until_reset),
        cmocka_unit_test(sizes_that_overflow_fail),
        cmocka_unit_test(the_caller_can_write_in_place_and_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
