#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "util/hex.h"

static void
every_byte_survives_the_way_to_text_and_back(void **state)
{
    (void)state;
    uint8_t bytes[256];
    uint8_t back[256];
    char text[513];
    for (size_t i = 0; i < sizeof bytes; i++) {
        bytes[i] = (uint8_t)i;
    }
    hex_encode(text, bytes, sizeof bytes);
    assert_int_equal(strlen(text), 512);
    assert_memory_equal(text, "000102", 6);
    assert_string_equal(text + 506, "fdfeff");
    assert_true(hex_decode(back, sizeof back, text, 512));
    assert_memory_equal(bytes, back, sizeof bytes);
}

static void
anything_but_lower_case_digits_of_that_length_is_refused(void **state)
{
    (void)state;
    uint8_t out[2];
    assert_true(hex_decode(out, 2, "09af", 4));
    assert_false(hex_decode(out, 2, "09AF", 4));
    assert_false(hex_decode(out, 2, "09a", 3));
    assert_false(hex_decode(out, 2, "09afa", 5));
    assert_false(hex_decode(out, 2, "09af00", 6));
    assert_false(hex_decode(out, 2, "09ag", 4));
    assert_false(hex_decode(out, 2, "09/:", 4));
    assert_false(hex_decode(out, 2, "0 `a", 4));
    assert_false(hex_decode(out, 2, "", 0));
    assert_true(hex_decode(out, 0, "", 0));
}

static void
a_single_digit_may_have_either_case(void **state)
{
    (void)state;
    for (int c = 0; c < 256; c++) {
        const char *at = c != 0 ? strchr("0123456789abcdefABCDEF", c) : NULL;
        char digit[] = {(char)c, '\0'};
        int want = at == NULL ? -1 : (int)strtol(digit, NULL, 16);

        assert_int_equal(hex_value((char)c), want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_survives_the_way_to_text_and_back),
        cmocka_unit_test(anything_but_lower_case_digits_of_that_length_is_refused),
        cmocka_unit_test(a_single_digit_may_have_either_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
