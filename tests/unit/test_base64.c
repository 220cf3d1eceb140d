#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include "util/base64.h"

static void
encodes(const char *bytes, size_t n, const char *expected)
{
    char out[64];

    base64_encode(out, bytes_of(bytes, n));
    assert_string_equal(out, expected);
    assert_int_equal(strlen(out) + 1, BASE64_TEXT(n));
}

/* RFC 4648 10, without the =. */
static void
the_vectors_of_the_rfc(void **state)
{
    (void)state;
    encodes("", 0, "");
    encodes("f", 1, "Zg");
    encodes("fo", 2, "Zm8");
    encodes("foo", 3, "Zm9v");
    encodes("foob", 4, "Zm9vYg");
    encodes("fooba", 5, "Zm9vYmE");
    encodes("foobar", 6, "Zm9vYmFy");
}

static void
all_bytes_and_the_last_digits(void **state)
{
    (void)state;
    encodes("\xfb\xff\xbf", 3, "+/+/");
    encodes("\xff\xff\xff", 3, "////");
    encodes("\0\0\0", 3, "AAAA");
}

static void
decodes(const char *text, const char *bytes, size_t n)
{
    char out[16];
    size_t got;

    memset(out, '!', sizeof out);
    assert_true(base64_decode(out, n, &got, bytes_str(text)));
    assert_int_equal(got, n);
    if (n > 0)
        assert_memory_equal(out, bytes, n);
    assert_int_equal(out[n], '!');
    if (n > 0)
        assert_false(base64_decode(out, n - 1, &got, bytes_str(text)));
}

static void
what_was_encoded_is_decoded_with_or_without_its_padding(void **state)
{
    (void)state;
    decodes("", "", 0);
    decodes("Zg", "f", 1);
    decodes("Zg==", "f", 1);
    decodes("Zm8", "fo", 2);
    decodes("Zm8=", "fo", 2);
    decodes("Zm9v", "foo", 3);
    decodes("Zm9vYg==", "foob", 4);
    decodes("Zm9vYmE=", "fooba", 5);
    decodes("Zm9vYmFy", "foobar", 6);
    decodes("+/+/", "\xfb\xff\xbf", 3);
    decodes("////", "\xff\xff\xff", 3);
}

static void
what_is_no_base64_is_refused(void **state)
{
    static const char *const bad[] = {"Z",     "Zm9vY",    "Zg=",      "=",     "====",
                                      "Z===",  "Zg==Zg==", "Zm 8",     "Zm8\n", "-_-_",
                                      "Zg===", "Zm9v=",    "Zm9v====", "Z\xc3g"};
    char out[16];
    size_t got;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (base64_decode(out, sizeof out, &got, bytes_str(bad[i])))
            fail_msg("%s", bad[i]);
    assert_false(base64_decode(out, sizeof out, &got, bytes_of("Zg\0\0", 4)));
}

static void
urls_have_digits_of_their_own(void **state)
{
    char text[16];
    uint8_t out[16];
    size_t n;

    (void)state;
    base64_encode_url(text, bytes_of("\xfb\xff\xbf", 3));
    assert_string_equal(text, "-_-_");
    assert_true(base64_decode_url(out, &n, bytes_str("-_-_")));
    assert_int_equal(n, 3);
    assert_memory_equal(out, "\xfb\xff\xbf", 3);
}

static void
what_was_encoded_for_urls_is_decoded(void **state)
{
    uint8_t in[64], out[64];
    char text[BASE64_TEXT(64)];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof in; i++)
        in[i] = (uint8_t)(i * 37 + 200);
    for (size_t length = 0; length <= sizeof in; length++) {
        base64_encode_url(text, bytes_of(in, length));
        assert_int_equal(BASE64_BYTES(strlen(text)), length);
        assert_true(base64_decode_url(out, &n, bytes_str(text)));
        assert_int_equal(n, length);
        assert_memory_equal(out, in, length);
    }
}

static void
other_texts_are_refused(void **state)
{
    static const char *const bad[] = {"A",    "AAAAA", "Zg=", "Zg==",     "Zh",  "Zm9",
                                      "+/+/", "Zm 9v", " ",   "\xc3\xa9", "Zg\n"};
    uint8_t out[16];
    size_t n;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(base64_decode_url(out, &n, bytes_str(bad[i])));
    assert_false(base64_decode_url(out, &n, bytes_of("Zg\0A", 4)));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc),
        cmocka_unit_test(all_bytes_and_the_last_digits),
        cmocka_unit_test(what_was_encoded_is_decoded_with_or_without_its_padding),
        cmocka_unit_test(what_is_no_base64_is_refused),
        cmocka_unit_test(urls_have_digits_of_their_own),
        cmocka_unit_test(what_was_encoded_for_urls_is_decoded),
        cmocka_unit_test(other_texts_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
