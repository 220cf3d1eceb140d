#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <crypt.h>
#include "domain/access/password_hash.h"

static const uint8_t salt[PASSWORD_HASH_SALT_BYTES] = "0123456789abcde";

/* Hashes of "secret", made by openssl passwd, by crypt(3) of Perl, and by Digest::SHA. */
static const struct {
    const char *method, *hash;
    bool slow;
} known[] = {
    {"plain", "{PLAIN}secret", false},
    {"sha", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", false},
    {"ssha", "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", false},
    {"ssha", "{SSHA}ZB7iU/rucTeZEzxT0Wsi/cZTRc94eXoxMjM0NTY3ODkwMTIz", false},
    {"ssha", "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", false},
#ifdef HAVE_APRUTIL
    {"apr1", "$apr1$saltsalt$LrttParrLPdxvgutaSXWJ0", false},
#endif
    {"md5-crypt", "$1$saltsalt$9xy1btjgzLYfb7hivXtC//", false},
    {"sha256-crypt", "$5$saltsalt$0IyaXrmV7.sGNS6tirgqHLqX/G.FBvgkYA.lpPdS5sA", false},
    {"sha512-crypt",
     "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.Pq."
     "H91p5hVO1",
     false},
    {"yescrypt", "$y$j9T$abcdefgh$IUWJt2doU4Kf6E/JP1UkAT3S5O3Q7SSA8SJirXIlEu9", true},
    {"gost-yescrypt", "$gy$j9T$abcdefgh$Fi3mUfLMwr2ZyDlmydp6rw5RwzYJnsb1LquZlQ2CYq0", true},
    {"scrypt", "$7$CU..../....saltsalt$NUwJnl2EzU4ACwYC9BDHKGDt.PCVFKyF6Hlr/CUA09D", true},
    {"bcrypt", "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIrW", true},
    {"sha1-crypt", "$sha1$1000$saltsalt$Afd9xS7u8w4h.ywETK2u0ha2i2TG", false},
    {"sunmd5", "$md5$saltsalt$$htFYkfcXgVn6XJq7JYvMH/", false},
    {"nt", "$3$$878d8014606cda29677a44efa1353fc7", false},
    {"bsdi-des-crypt", "_J9..rasmz0.F/jqjWck", false},
    {"des-crypt", "abNANd1rDfiNc", false},
};

static int
check(const char *hash, const char *password)
{
    struct err err;

    return password_hash_check(bytes_str(hash), password, &err);
}

static void
each_method_knows_its_password_from_others(void **state)
{
    bool usable;

    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        const char *hash = known[i].hash;

        assert_string_equal(password_hash_method(bytes_str(hash), &usable), known[i].method);
        assert_true(usable);
        assert_int_equal(password_hash_is_slow(bytes_str(hash)), known[i].slow);
        if (check(hash, "secret") != 1 || check(hash, "secreT") != 0 || check(hash, "") != 0)
            fail_msg("%s", hash);
    }
}

#ifdef HAVE_APRUTIL
static void
apr1_of_a_long_password_and_of_a_short_salt(void **state)
{
    (void)state;
    assert_int_equal(check("$apr1$saltsalt$RRqhFiLievQy.Wnmqzc5A.", "a b"), 1);
    assert_int_equal(check("$apr1$x$e69lZB1XhQFynyNdF6OFK.",
                           "a password that is much longer than a block of MD5, as some are"),
                     1);
}
#endif

static void
hashes_that_no_password_fits_are_told(void **state)
{
    static const char *const bad[] = {
        "x",
        "*",
        "!",
        "{SSHA}",
        "{SSHA}AAAA",
        "{SSHA}5en6G6MezRroT3XKqkdPOmY/BfQ", /* nginx compares with the = */
        "{SSHA}!en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ",
        "{SHA256}x",
        "{ssha}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        "$apr1$saltsalt$",
        "$5$x",
        "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6g",
        "$2y$04$abcdefghijklmnopqrstuu2r9OfJnfCsdneAXAGHnS4UpFFP8WIr",
        "$argon2id$v=19$m=65536,t=3,p=4$c2FsdHNhbHQ$kZm9vYmFyZm9vYmFyZm9vYmFyZm9vYmE",
        "$9$saltsalt$9xy1btjgzLYfb7hivXtC//",
        "aplainpasswd:",
    };
    bool usable;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        password_hash_method(bytes_str(bad[i]), &usable);
        if (usable || check(bad[i], "secret") != 0)
            fail_msg("%s", bad[i]);
    }
    assert_string_equal(password_hash_method(bytes_str("x"), &usable), "unknown");
    assert_string_equal(password_hash_method(bytes_str("$5$x"), &usable), "sha256-crypt");
}

static void
a_hash_of_any_length_is_read(void **state)
{
    char hash[2000];
    bool usable;

    (void)state;
    memset(hash, 'A', sizeof hash - 1);
    hash[sizeof hash - 1] = '\0';
    password_hash_method(bytes_str(hash), &usable);
    assert_false(usable);
    memcpy(hash, "{SSHA}", 6);
    assert_int_equal(check(hash, "secret"), 0);
    memcpy(hash, "$6$abc", 6);
    hash[sizeof hash - 1 - 87] = '$';
    assert_int_equal(check(hash, "secret"), 0);
    memcpy(hash, "$apr1$", 6);
    hash[sizeof hash - 1 - 87] = 'A';
    hash[sizeof hash - 1 - 23] = '$';
    assert_int_equal(check(hash, "secret"), 0);
}

static void
a_new_password_is_sha512_with_the_default_of_rounds(void **state)
{
    struct buf out;
    struct err err;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(password_hash_make(&out, "a:b c", salt, &err), 0);
    assert_memory_equal(buf_text(&out), "$6$", 3);
    assert_null(strstr(buf_text(&out), "rounds="));
    assert_string_equal(crypt("a:b c", buf_text(&out)), buf_text(&out));
    assert_int_equal(check(buf_text(&out), "a:b c"), 1);
    assert_int_equal(check(buf_text(&out), "a:b"), 0);
    buf_free(&out);
}

static void
a_secret_has_a_cheap_hash(void **state)
{
    struct buf out;
    struct err err;

    (void)state;
    buf_init(&out, 1000);
    assert_int_equal(password_hash_make_cheap(&out, "drs_abc", salt, &err), 0);
    assert_memory_equal(buf_text(&out), "{SSHA}", 6);
    assert_null(strchr(buf_text(&out), '='));
    assert_int_equal(check(buf_text(&out), "drs_abc"), 1);
    assert_int_equal(check(buf_text(&out), "drs_abd"), 0);
    buf_free(&out);
}

static void
the_longest_password(void **state)
{
    char longest[PASSWORD_HASH_PASSWORD_MAX + 1];
    struct buf out;
    struct err err;

    (void)state;
    memset(longest, 'x', sizeof longest);
    longest[PASSWORD_HASH_PASSWORD_MAX] = '\0';
    buf_init(&out, 1000);
    assert_int_equal(password_hash_make(&out, longest, salt, &err), 0);
    assert_int_equal(check(buf_text(&out), longest), 1);
    buf_reset(&out);
    assert_int_equal(password_hash_make_cheap(&out, longest, salt, &err), 0);
    assert_int_equal(check(buf_text(&out), longest), 1);
    assert_int_equal(check(buf_text(&out), longest + 1), 0);
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_method_knows_its_password_from_others),
#ifdef HAVE_APRUTIL
        cmocka_unit_test(apr1_of_a_long_password_and_of_a_short_salt),
#endif
        cmocka_unit_test(hashes_that_no_password_fits_are_told),
        cmocka_unit_test(a_hash_of_any_length_is_read),
        cmocka_unit_test(a_new_password_is_sha512_with_the_default_of_rounds),
        cmocka_unit_test(a_secret_has_a_cheap_hash),
        cmocka_unit_test(the_longest_password),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
