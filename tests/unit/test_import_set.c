#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include "domain/transfer/import_set.h"

static struct digest
number(unsigned n)
{
    struct digest d;
    char text[16];

    snprintf(text, sizeof text, "%u", n);
    digest_of(&d, n % 2 != 0 ? DIGEST_SHA256 : DIGEST_SHA512, bytes_str(text));
    return d;
}

static void
test_many(void **state)
{
    struct import_set s = {.v = NULL};

    (void)state;
    for (unsigned i = 0; i < 2000; i++) {
        struct digest d = number(i / 2);
        bool is_new = false;

        assert_int_equal(import_set_has(&s, &d), i % 2);
        import_set_add(&s, &d, &is_new);
        assert_int_equal(is_new, i % 2 == 0);
    }
    assert_int_equal(s.n, 1000);
    for (unsigned i = 0; i < 2000; i++) {
        struct digest d = number(i);

        assert_int_equal(import_set_has(&s, &d), i < 1000);
    }
    import_set_free(&s);
    assert_int_equal(s.n, 0);
}

/* All begin at the same place. */
static void
test_meeting(void **state)
{
    struct import_set s = {.v = NULL};

    (void)state;
    for (unsigned i = 0; i < 100; i++) {
        struct digest d = {.algo = DIGEST_SHA256};

        d.bytes[31] = (uint8_t)i;
        assert_false(import_set_has(&s, &d));
        import_set_add(&s, &d, NULL);
        assert_true(import_set_has(&s, &d));
    }
    assert_int_equal(s.n, 100);
    import_set_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_meeting),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
