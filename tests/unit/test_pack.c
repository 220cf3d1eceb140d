#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/pack.h"

static void
what_is_packed_reads_back(void **state)
{
    struct digest d = {.algo = DIGEST_SHA256}, back;
    struct unpack u;
    struct buf b;
    char text[8];

    (void)state;
    memset(d.bytes, 0xab, 32);
    buf_init(&b, 1000);
    pack_u8(&b, 0xfe);
    pack_u32(&b, 0x12345678);
    pack_u64(&b, UINT64_MAX - 1);
    pack_text(&b, "hello");
    pack_bytes16(&b, bytes_of("a\0b", 3));
    pack_digest(&b, &d);
    assert_true(buf_ok(&b));
    assert_int_equal(b.n, 1 + 4 + 8 + 7 + 5 + 33);
    assert_memory_equal(b.p, "\xfe\x12\x34\x56\x78", 5);
    u = unpack_of(buf_bytes(&b));
    assert_int_equal(unpack_u8(&u), 0xfe);
    assert_int_equal(unpack_u32(&u), 0x12345678);
    assert_true(unpack_u64(&u) == UINT64_MAX - 1);
    unpack_text(&u, text, sizeof text);
    assert_string_equal(text, "hello");
    assert_true(bytes_equal(unpack_bytes16(&u), bytes_of("a\0b", 3)));
    assert_false(unpack_done(&u));
    unpack_digest(&u, &back);
    assert_true(digest_equal(&d, &back));
    assert_true(unpack_done(&u));
    buf_free(&b);
}

static void
what_is_missing_or_too_long_is_bad_for_good(void **state)
{
    struct unpack u = unpack_of(bytes_of("\0\x05"
                                         "hello",
                                         7));
    struct digest d;
    char text[5];

    (void)state;
    unpack_text(&u, text, sizeof text); /* one byte short of the NUL */
    assert_true(u.bad);
    assert_string_equal(text, "");
    assert_int_equal(unpack_u8(&u), 0);
    assert_false(unpack_done(&u));

    u = unpack_of(bytes_of("\0\x02"
                           "a\0",
                           4)); /* a NUL inside */
    unpack_text(&u, text, sizeof text);
    assert_true(u.bad);

    u = unpack_of(bytes_of("abc", 3));
    assert_int_equal(unpack_u32(&u), 0);
    assert_true(u.bad);

    u = unpack_of(bytes_of("\x7f", 1)); /* no such algorithm */
    unpack_digest(&u, &d);
    assert_true(u.bad);

    u = unpack_of(bytes_of(NULL, 0));
    assert_int_equal(unpack_rest(&u).n, 0);
    assert_true(unpack_done(&u));
}

static void
a_text_over_its_length_field_fails(void **state)
{
    static char text[65537];
    struct buf b;

    (void)state;
    memset(text, 'x', sizeof text - 1);
    buf_init(&b, 1 << 20);
    pack_text(&b, text + 1);
    assert_true(buf_ok(&b));
    pack_text(&b, text);
    assert_false(buf_ok(&b));
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_packed_reads_back),
        cmocka_unit_test(what_is_missing_or_too_long_is_bad_for_good),
        cmocka_unit_test(a_text_over_its_length_field_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
