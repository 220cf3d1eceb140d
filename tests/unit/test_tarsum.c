#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "storage/layers/tarsum.h"
#include "util/buf.h"
#include "util/fdio.h"
#include "util/hex.h"
#include "v1_fixture.h"

static struct err err;

/* ---- layers ---- */

static int
file_of(struct bytes b)
{
    int fd = memfd_create("layer", MFD_CLOEXEC);

    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, b.p, b.n, "layer", &err), 0);
    return fd;
}

/* The bytes of hex digits, and what is behind them. */
static int
layer_of(const char *hex, const char *more)
{
    size_t n = strlen(hex) / 2;
    char *bytes = malloc(n + strlen(more) + 1);
    int fd;

    assert_non_null(bytes);
    assert_true(hex_decode(bytes, n, hex, 2 * n));
    memcpy(bytes + n, more, strlen(more));
    fd = file_of(bytes_of(bytes, n + strlen(more)));
    free(bytes);
    return fd;
}

static struct tarsum
sum_fd(int fd, enum tarsum_version version, const char *json)
{
    struct tarsum sum;

    if (tarsum_here(fd, version, bytes_str(json), &sum, &err) != 0)
        fail_msg("%s", err.message);
    fdio_close(fd);
    return sum;
}

static void
expect(const struct tarsum *sum, const char *hex)
{
    char got[DIGEST_TEXT_MAX];

    if (!sum->computed)
        fail_msg("not computed: %s", sum->why);
    assert_false(sum->duplicates);
    digest_hex(got, &sum->digest);
    assert_string_equal(got, hex);
}

static void
the_sums_that_docker_made_of_its_layers_come_out(void **state)
{
    static const struct {
        const char *layer;
        const char *json;
        const char *v0;
        const char *v1;
    } cases[] = {
        {A_PLAIN, A_JSON, "e867d05b88d4735ff085c99b81482810c893055f46eac81a811b136ab3bcf079",
         "e17b3611df9134560b1189a9d2810c8b5f562668fffb0f54714f42fe1339fdb5"},
        {A_SENT, A_JSON, "e867d05b88d4735ff085c99b81482810c893055f46eac81a811b136ab3bcf079",
         "e17b3611df9134560b1189a9d2810c8b5f562668fffb0f54714f42fe1339fdb5"},
        {B_PLAIN, B_JSON, "c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8",
         "c5074463b52312afd9e43b7b8612cdafef432f61c5a7944d2c3a5457347f54c2"},
        {B_SENT, B_JSON, "c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8",
         "c5074463b52312afd9e43b7b8612cdafef432f61c5a7944d2c3a5457347f54c2"},
        {C_GZIP, C_JSON, "e5407997a98a7f779d1a5d9ffde09a1f238ce2d29580c1cbaf01fa7ff4375446",
         "5e3ef2119cd8cbb27de49b40a4c54e55d2bc921e51c2a39a9d66dbfd6f628d25"},
        {E_GZIP, E_JSON, "b2cb6c88386aaf65d2e721b8c5bf7d4909c90d9a664f42492368fa3b51d6d1ec",
         "b2cb6c88386aaf65d2e721b8c5bf7d4909c90d9a664f42492368fa3b51d6d1ec"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tarsum v0 = sum_fd(layer_of(cases[i].layer, ""), TARSUM_V0, cases[i].json);
        struct tarsum v1 = sum_fd(layer_of(cases[i].layer, ""), TARSUM_V1, cases[i].json);

        expect(&v0, cases[i].v0);
        expect(&v1, cases[i].v1);
    }
}

static void
the_compression_does_not_matter_nor_what_is_behind_it(void **state)
{
    static const char *const layers[] = {B_PLAIN, B_XZ, B_BZIP2, B_ZSTD};

    (void)state;
    for (size_t i = 0; i < sizeof layers / sizeof layers[0]; i++) {
        struct tarsum sum = sum_fd(layer_of(layers[i], ""), TARSUM_V0, B_JSON);

        expect(&sum, "c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8");
    }
    struct tarsum sum = sum_fd(layer_of(B_PLAIN, "garbage"), TARSUM_V0, B_JSON);
    expect(&sum, "c69e04a93ecf3f514f9f58ae1de6c6a8e0cbe4aaea3c24e780333e3428177ed8");
}

/* ---- tars made here ---- */

static void
octal(char *at, size_t n, unsigned long long v)
{
    char text[32];

    snprintf(text, sizeof text, "%0*llo", (int)n - 1, v);
    memcpy(at, text, n);
}

static void
seal(char *head)
{
    unsigned sum = 0;

    memset(head + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += (unsigned char)head[i];
    octal(head + 148, 7, sum);
}

/* A header and its data. magic: "ustar" with its version, or "" for v7. */
static void
put_head(struct buf *tar, char head[512], const char *name, char type, size_t size,
         const char *magic)
{
    (void)tar;
    memset(head, 0, 512);
    memcpy(head, name, strlen(name) < 100 ? strlen(name) : 100);
    octal(head + 100, 8, 0755);
    octal(head + 108, 8, 0);
    octal(head + 116, 8, 0);
    octal(head + 124, 12, size);
    octal(head + 136, 12, 0);
    head[156] = type;
    memcpy(head + 257, magic, strlen(magic));
    if (strcmp(magic, "ustar") == 0)
        memcpy(head + 263, "00", 2);
}

static void
put_entry(struct buf *tar, char head[512], struct bytes data)
{
    static const char zeros[512];

    seal(head);
    buf_put(tar, head, 512);
    buf_put(tar, data.p, data.n);
    buf_put(tar, zeros, (512 - data.n % 512) % 512);
}

static void
put(struct buf *tar, const char *name, char type, const char *data)
{
    char head[512];

    put_head(tar, head, name, type, strlen(data), "ustar");
    put_entry(tar, head, bytes_str(data));
}

static void
put_pax(struct buf *tar, const char *record)
{
    char text[4096];
    int n = (int)strlen(record) + 3;

    for (int digits = 1; n + digits > (int)strlen(record) + 2 + digits; digits++) {
        n = (int)strlen(record) + 2 + digits;
        if (snprintf(NULL, 0, "%d", n) == digits)
            break;
    }
    snprintf(text, sizeof text, "%d %s\n", n, record);
    put(tar, "pax", 'x', text);
}

static struct tarsum
sum_tar(struct buf *tar, enum tarsum_version version)
{
    static const char end[1024];
    struct tarsum sum;

    buf_put(tar, end, sizeof end);
    assert_true(buf_ok(tar));
    sum = sum_fd(file_of(buf_bytes(tar)), version, "");
    buf_free(tar);
    buf_init(tar, 64u << 20);
    return sum;
}

static struct buf
new_tar(void)
{
    struct buf tar;

    buf_init(&tar, 64u << 20);
    return tar;
}

static void
expect_same(const struct tarsum *a, const struct tarsum *b)
{
    if (!a->computed || !b->computed)
        fail_msg("not computed: %s%s", a->why, b->why);
    assert_true(digest_equal(&a->digest, &b->digest));
}

static void
the_raw_type_counts(void **state)
{
    struct buf tar = new_tar();
    char head[512], *zeros = calloc(1, 1u << 20);
    struct tarsum nul, zero;

    (void)state;
    assert_non_null(zeros);
    put_head(&tar, head, "/testdata0", '\0', 1u << 20, "");
    put_entry(&tar, head, bytes_of(zeros, 1u << 20));
    nul = sum_tar(&tar, TARSUM_V0);
    expect(&nul, "8bf12d7e67c51ee2e8306cba569398b1b9f419969521a12ffb9d8875e8836738");
    put_head(&tar, head, "/testdata0", '0', 1u << 20, "");
    put_entry(&tar, head, bytes_of(zeros, 1u << 20));
    zero = sum_tar(&tar, TARSUM_V0);
    assert_true(zero.computed);
    assert_false(digest_equal(&zero.digest, &nul.digest));
    free(zeros);
    buf_free(&tar);
}

static void
a_name_is_the_same_however_it_is_stored(void **state)
{
    struct buf tar = new_tar();
    struct tarsum first, other;
    char head[512];

    (void)state;
    put_pax(&tar, "path=some/where/else");
    put(&tar, "short", '0', "data");
    first = sum_tar(&tar, TARSUM_V0);

    put(&tar, "././@LongLink", 'L', "some/where/else");
    put(&tar, "short", '0', "data");
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);

    put_head(&tar, head, "else", '0', 4, "ustar");
    memcpy(head + 345, "some/where", 10);
    put_entry(&tar, head, bytes_str("data"));
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);

    put_pax(&tar, "linkpath=a/target");
    put(&tar, "link", '2', "");
    first = sum_tar(&tar, TARSUM_V0);
    put(&tar, "././@LongLink", 'K', "a/target");
    put(&tar, "link", '2', "");
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);
    buf_free(&tar);
}

static void
numbers_are_the_same_however_they_are_stored(void **state)
{
    struct buf tar = new_tar();
    struct tarsum first, other;
    char head[512];

    (void)state;
    put_pax(&tar, "uid=3000000000");
    put(&tar, "f", '0', "");
    first = sum_tar(&tar, TARSUM_V0);
    put_head(&tar, head, "f", '0', 0, "ustar");
    memcpy(head + 108, "\x80\0\0\0\xb2\xd0\x5e\0", 8);
    put_entry(&tar, head, bytes_str(""));
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);

    put_pax(&tar, "mtime=-1.5"); /* whole seconds, downwards */
    put(&tar, "f", '0', "");
    first = sum_tar(&tar, TARSUM_V0);
    put_head(&tar, head, "f", '0', 0, "ustar");
    memcpy(head + 136, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xfe", 12);
    put_entry(&tar, head, bytes_str(""));
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);
    first = sum_tar(&tar, TARSUM_V0); /* an empty one */
    assert_false(digest_equal(&first.digest, &other.digest));
    buf_free(&tar);
}

static void
version_0_has_times_and_version_1_attributes_in_their_order(void **state)
{
    struct buf tar = new_tar();
    struct tarsum plain[2], timed[2], marked[2], turned[2];

    (void)state;
    for (int v = 0; v < 2; v++) {
        enum tarsum_version version = v == 0 ? TARSUM_V0 : TARSUM_V1;

        put(&tar, "f", '0', "data");
        plain[v] = sum_tar(&tar, version);
        put_pax(&tar, "mtime=5");
        put(&tar, "f", '0', "data");
        timed[v] = sum_tar(&tar, version);
        put(&tar, "x", 'x', "26 SCHILY.xattr.user.b=2\n\n26 SCHILY.xattr.user.a=1\n\n");
        put(&tar, "f", '0', "data");
        marked[v] = sum_tar(&tar, version);
        put(&tar, "x", 'x', "26 SCHILY.xattr.user.a=1\n\n26 SCHILY.xattr.user.b=2\n\n");
        put(&tar, "f", '0', "data");
        turned[v] = sum_tar(&tar, version);
        expect_same(&marked[v], &turned[v]);
    }
    assert_false(digest_equal(&plain[0].digest, &timed[0].digest));
    assert_true(digest_equal(&plain[1].digest, &timed[1].digest));
    assert_true(digest_equal(&plain[0].digest, &marked[0].digest));
    assert_false(digest_equal(&plain[1].digest, &marked[1].digest));
    buf_free(&tar);
}

static void
the_order_of_entries_does_not_matter_and_twice_the_same_name_is_told(void **state)
{
    struct buf tar = new_tar();
    struct tarsum first, other;

    (void)state;
    put(&tar, "a", '0', "1");
    put(&tar, "b", '0', "2");
    first = sum_tar(&tar, TARSUM_V0);
    put(&tar, "b", '0', "2");
    put(&tar, "a", '0', "1");
    other = sum_tar(&tar, TARSUM_V0);
    expect_same(&first, &other);
    assert_false(other.duplicates);
    put(&tar, "./a/", '5', "");
    put(&tar, "b", '0', "2");
    put(&tar, "a", '0', "1");
    other = sum_tar(&tar, TARSUM_V0);
    assert_true(other.computed && other.duplicates);
    buf_free(&tar);
}

static void
what_is_no_tar_has_no_sum(void **state)
{
    struct buf tar = new_tar();
    struct tarsum sum;
    char head[512];

    (void)state;
    sum = sum_fd(file_of(bytes_str("this is no tar")), TARSUM_V0, "");
    assert_false(sum.computed);
    assert_true(sum.why[0] != '\0');
    sum = sum_fd(layer_of("1f8b0800000000000203", "cut off"), TARSUM_V0, "");
    assert_false(sum.computed);

    put_head(&tar, head, "f", '0', 0, "ustar");
    seal(head);
    head[0] = 'g';
    buf_put(&tar, head, sizeof head);
    sum = sum_tar(&tar, TARSUM_V0); /* a bad checksum */
    assert_false(sum.computed);

    put_head(&tar, head, "f", '0', 100000, "ustar");
    put_entry(&tar, head, bytes_str("less than announced"));
    sum = sum_tar(&tar, TARSUM_V0);
    assert_false(sum.computed);

    put_head(&tar, head, "f", '0', 0, "ustar");
    memcpy(head + 124, "12x45", 5);
    put_entry(&tar, head, bytes_str(""));
    sum = sum_tar(&tar, TARSUM_V0);
    assert_false(sum.computed);

    put(&tar, "f", 'S', "");
    sum = sum_tar(&tar, TARSUM_V0); /* sparse */
    assert_false(sum.computed);
    put(&tar, "x", 'x', "5 a=b");
    put(&tar, "f", '0', "");
    sum = sum_tar(&tar, TARSUM_V0);
    assert_false(sum.computed);
    buf_free(&tar);
}

static void
a_record_that_is_too_long_or_too_many_attributes_are_refused(void **state)
{
    struct buf tar = new_tar();
    size_t n = (1u << 20) + 1;
    char head[512], *name = malloc(n);
    struct tarsum sum;
    struct buf records;

    (void)state;
    assert_non_null(name);
    memset(name, 'n', n);
    for (size_t size = n - 1; size <= n; size++) {
        put_head(&tar, head, "././@LongLink", 'L', size, "ustar");
        put_entry(&tar, head, bytes_of(name, size));
        put(&tar, "f", '0', "");
        sum = sum_tar(&tar, TARSUM_V0);
        assert_int_equal(sum.computed, size < n);
    }
    free(name);
    for (int many = 64; many <= 65; many++) {
        buf_init(&records, 8192);
        for (int i = 0; i < many; i++)
            buf_putf(&records, "25 SCHILY.xattr.user.%02d=\n", i);
        put(&tar, "x", 'x', buf_text(&records));
        buf_free(&records);
        put(&tar, "f", '0', "");
        sum = sum_tar(&tar, TARSUM_V1);
        assert_int_equal(sum.computed, many == 64);
    }
    buf_free(&tar);
}

static void
a_child_computes_the_same(void **state)
{
    int fd = layer_of(A_SENT, "");
    struct tarsum sum;

    (void)state;
    assert_int_equal(tarsum_of_fd(fd, TARSUM_V0, bytes_str(A_JSON), &sum, &err), 0);
    expect(&sum, "e867d05b88d4735ff085c99b81482810c893055f46eac81a811b136ab3bcf079");
    fdio_close(fd);
    fd = file_of(bytes_str("no tar"));
    assert_int_equal(tarsum_of_fd(fd, TARSUM_V0, bytes_str(""), &sum, &err), 0);
    assert_false(sum.computed);
    assert_true(sum.why[0] != '\0');
    fdio_close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_sums_that_docker_made_of_its_layers_come_out),
        cmocka_unit_test(the_compression_does_not_matter_nor_what_is_behind_it),
        cmocka_unit_test(the_raw_type_counts),
        cmocka_unit_test(a_name_is_the_same_however_it_is_stored),
        cmocka_unit_test(numbers_are_the_same_however_they_are_stored),
        cmocka_unit_test(version_0_has_times_and_version_1_attributes_in_their_order),
        cmocka_unit_test(the_order_of_entries_does_not_matter_and_twice_the_same_name_is_told),
        cmocka_unit_test(what_is_no_tar_has_no_sum),
        cmocka_unit_test(a_record_that_is_too_long_or_too_many_attributes_are_refused),
        cmocka_unit_test(a_child_computes_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
