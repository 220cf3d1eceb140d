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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_the_rfc),
        cmocka_unit_test(all_bytes_and_the_last_digits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
