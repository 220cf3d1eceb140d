#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "storage/layers/layer_names.h"

static uint64_t
hash_of_number(const char *begin, unsigned i)
{
    char name[32];

    snprintf(name, sizeof name, "%s-%u.txt", begin, i);
    return layer_names_hash(bytes_str(name));
}

/* The hashes are part of the stored format. */
static void
hashes_stay_what_they_are(void **state)
{
    (void)state;
    assert_true(layer_names_hash(bytes_str("passwd")) == layer_names_hash(bytes_str("passwd")));
    assert_true(layer_names_hash(bytes_str("passwd")) == UINT64_C(0x7a42f0e96b76aa38));
    assert_true(layer_names_hash(bytes_str("passwd")) != layer_names_hash(bytes_str("passwe")));
}

static void
all_names_are_found_and_few_others(void **state)
{
    static uint8_t pieces[20][LAYER_NAMES_PIECE];
    uint32_t n = layer_names_pieces(20000);
    unsigned wrong = 0;

    (void)state;
    assert_int_equal(n, 20);
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t h = hash_of_number("file", i);

        layer_names_add(pieces[layer_names_piece(h, n)], h);
    }
    for (unsigned i = 0; i < 20000; i++) {
        uint64_t h = hash_of_number("file", i);

        assert_true(layer_names_may_have(pieces[layer_names_piece(h, n)], h));
        h = hash_of_number("other", i);
        wrong += layer_names_may_have(pieces[layer_names_piece(h, n)], h);
    }
    assert_in_range(wrong, 0, 400); /* of 20000: 2 % */
}

static void
numbers_of_pieces_are_bounded(void **state)
{
    (void)state;
    assert_int_equal(layer_names_pieces(0), 0);
    assert_int_equal(layer_names_pieces(1), 1);
    assert_int_equal(layer_names_pieces(1024), 1);
    assert_int_equal(layer_names_pieces(1025), 2);
    assert_int_equal(layer_names_pieces(SIZE_MAX / 2), LAYER_NAMES_PIECES_MAX);
    assert_int_equal(layer_names_piece(UINT64_MAX, 0), 0);
    assert_true(layer_names_piece(UINT64_MAX, 7) < 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hashes_stay_what_they_are),
        cmocka_unit_test(all_names_are_found_and_few_others),
        cmocka_unit_test(numbers_of_pieces_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
