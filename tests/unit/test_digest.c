#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "util/digest.h"

/* FIPS 180-2, appendix B.1 and C.1: of "abc". */
#define ABC_256 "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
#define ABC_512                                                        \
    "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a" \
    "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"

static void
known_bytes_have_their_known_digest(void **state)
{
    (void)state;
    struct digest d;
    char text[DIGEST_TEXT_MAX];
    digest_of(&d, DIGEST_SHA256, bytes_str("abc"));
    digest_text(text, &d);
    assert_string_equal(text, "sha256:" ABC_256);
    digest_of(&d, DIGEST_SHA512, bytes_str("abc"));
    digest_text(text, &d);
    assert_string_equal(text, "sha512:" ABC_512);
    digest_hex(text, &d);
    assert_string_equal(text, ABC_512);
}

static void
pieces_give_the_same_as_the_whole(void **state)
{
    (void)state;
    struct digest whole;
    struct digest pieces;
    digest_of(&whole, DIGEST_SHA256, bytes_str("abc"));
    struct digest_state *s = digest_begin(DIGEST_SHA256);
    assert_non_null(s);
    digest_update(s, "a", 1);
    digest_update(s, NULL, 0);
    digest_update(s, "bc", 2);
    digest_end(s, &pieces);
    assert_true(digest_equal(&whole, &pieces));
    digest_end(digest_begin(DIGEST_SHA512), NULL);
}

static void
what_is_no_hash_cannot_be_computed(void **state)
{
    (void)state;
    struct digest d;
    digest_end(digest_begin(DIGEST_NONE), &d);
    assert_int_equal(d.algo, DIGEST_NONE);
    digest_of(&d, DIGEST_V1_ID, bytes_str("abc"));
    assert_int_equal(d.algo, DIGEST_NONE);
}

static void
texts_are_read_and_written_alike(void **state)
{
    (void)state;
    static const char *const texts[] = {"sha256:" ABC_256, "sha512:" ABC_512};
    struct digest d;
    struct err err;
    char text[DIGEST_TEXT_MAX];
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(digest_parse(&d, texts[i], strlen(texts[i]), &err), 0);
        digest_text(text, &d);
        assert_string_equal(text, texts[i]);
    }
    assert_int_equal(digest_parse_v1_id(&d, ABC_256, 64, &err), 0);
    assert_int_equal(d.algo, DIGEST_V1_ID);
    digest_text(text, &d);
    assert_string_equal(text, ABC_256);
}

static void
what_is_no_digest_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "sha256",
        "sha256:",
        ABC_256,
        "sha256:" ABC_256 "0",
        "sha256:BA7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad",
        "SHA256:" ABC_256,
        " sha256:" ABC_256,
        "sha256:" ABC_512,
        "sha512:" ABC_256,
        "sha384:" ABC_256,
        "v1:" ABC_256,
        "sha256-" ABC_256,
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct digest d;
        struct err err = {0};
        assert_int_equal(digest_parse(&d, bad[i], strlen(bad[i]), &err), -1);
        assert_int_equal(err.code, ERR_BAD_DIGEST);
        assert_int_equal(d.algo, DIGEST_NONE);
    }
    struct digest d;
    struct err err = {0};
    assert_int_equal(digest_parse(&d, "sha256:" ABC_256, 70, &err), -1);
    assert_int_equal(digest_parse_v1_id(&d, "sha256:" ABC_256, 71, &err), -1);
    assert_int_equal(err.code, ERR_BAD_DIGEST);
}

static void
digests_are_ordered_by_algorithm_then_bytes(void **state)
{
    (void)state;
    struct digest a = {.algo = DIGEST_SHA256, .bytes = {1}};
    struct digest b = {.algo = DIGEST_SHA256, .bytes = {2}};
    struct digest c = {.algo = DIGEST_SHA512, .bytes = {0}};
    assert_true(digest_compare(&a, &b) < 0);
    assert_true(digest_compare(&b, &a) > 0);
    assert_true(digest_compare(&b, &c) < 0);
    assert_int_equal(digest_compare(&a, &a), 0);
    assert_false(digest_equal(&a, &b));
    struct digest v1 = a;
    v1.algo = DIGEST_V1_ID;
    assert_false(digest_equal(&a, &v1));
}

static void
a_file_of_many_blocks_is_hashed_from_its_start(void **state)
{
    (void)state;
    size_t n = ((size_t)9 << 20) + 12345;
    char *bytes = malloc(n);
    assert_non_null(bytes);
    for (size_t i = 0; i < n; i++) {
        bytes[i] = (char)(i * 31 + i / 4096);
    }
    FILE *f = tmpfile();
    assert_non_null(f);
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    assert_int_equal(fflush(f), 0);
    struct digest of_file;
    struct digest of_bytes;
    uint64_t size = 0;
    struct err err;
    assert_int_equal(digest_of_fd(&of_file, DIGEST_SHA256, fileno(f), &size, &err), 0);
    digest_of(&of_bytes, DIGEST_SHA256, bytes_of(bytes, n));
    assert_int_equal(size, n);
    assert_true(digest_equal(&of_file, &of_bytes));
    fclose(f);
    free(bytes);
}

static void
a_file_that_cannot_be_read_is_an_error(void **state)
{
    (void)state;
    struct digest d;
    uint64_t size;
    struct err err;
    int fd = open("/", O_RDONLY | O_DIRECTORY);
    assert_int_equal(digest_of_fd(&d, DIGEST_SHA256, fd, &size, &err), -1);
    assert_int_equal(err.sys, EISDIR);
    assert_int_equal(d.algo, DIGEST_NONE);
    assert_int_equal(digest_of_fd(&d, DIGEST_V1_ID, fd, &size, &err), -1);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_bytes_have_their_known_digest),
        cmocka_unit_test(pieces_give_the_same_as_the_whole),
        cmocka_unit_test(what_is_no_hash_cannot_be_computed),
        cmocka_unit_test(texts_are_read_and_written_alike),
        cmocka_unit_test(what_is_no_digest_is_refused),
        cmocka_unit_test(digests_are_ordered_by_algorithm_then_bytes),
        cmocka_unit_test(a_file_of_many_blocks_is_hashed_from_its_start),
        cmocka_unit_test(a_file_that_cannot_be_read_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
