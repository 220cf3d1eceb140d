#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "process/server/start_throttle.h"

#define NOW 1000000

static void
a_burst_is_healed_at_once(void **state)
{
    (void)state;
    struct start_throttle t;
    start_throttle_init(&t, 60, 1000, NOW);
    for (int i = 0; i < 60; i++)
        assert_int_equal(start_throttle_take(&t, NOW), 0);
    assert_int_equal(start_throttle_take(&t, NOW), 1000);
}

static void
a_loop_is_slowed_to_the_rate(void **state)
{
    (void)state;
    struct start_throttle t;
    uint64_t now = NOW;
    start_throttle_init(&t, 5, 1000, now);
    int started = 0;
    /* dies at once whenever it is started */
    while (now < NOW + 100000) {
        now += start_throttle_take(&t, now) + 1;
        started++;
    }
    assert_in_range(started, 104, 106);
}

static void
those_who_wait_together_come_one_after_the_other(void **state)
{
    (void)state;
    struct start_throttle t;
    start_throttle_init(&t, 1, 1000, NOW);
    assert_int_equal(start_throttle_take(&t, NOW), 0);
    assert_int_equal(start_throttle_take(&t, NOW), 1000);
    assert_int_equal(start_throttle_take(&t, NOW), 2000);
    assert_int_equal(start_throttle_take(&t, NOW + 500), 2500);
}

static void
rest_brings_the_burst_back_and_no_more(void **state)
{
    (void)state;
    struct start_throttle t;
    start_throttle_init(&t, 3, 1000, NOW);
    for (int i = 0; i < 3; i++)
        assert_int_equal(start_throttle_take(&t, NOW), 0);
    for (int i = 0; i < 3; i++)
        assert_int_equal(start_throttle_take(&t, NOW + 1000000), 0);
    assert_true(start_throttle_take(&t, NOW + 1000000) > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_burst_is_healed_at_once),
        cmocka_unit_test(a_loop_is_slowed_to_the_rate),
        cmocka_unit_test(those_who_wait_together_come_one_after_the_other),
        cmocka_unit_test(rest_brings_the_burst_back_and_no_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
