/* Compressed layers of all kinds: the same bytes by each decoder, from the beginning and from every
 * checkpoint, and damage that is an end and nothing worse. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bzlib.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>
#include "storage/layers/inflate.h"

#define MAX ((size_t)1 << 28)
#define SPACING 200000u

static const struct inflate_options plain_options = {.memory = 64u << 20};

/* Bytes that compress about as well as programs do. */
static struct buf
sample(size_t n, unsigned seed)
{
    struct buf b;
    char *p;

    buf_init(&b, MAX);
    p = buf_extend(&b, n);
    srand(seed);
    for (size_t i = 0; i < n; i++) {
        if (i > 70000 && rand() % 50 == 0) {
            size_t from = i - 1 - (size_t)rand() % 60000, length = (size_t)(rand() % 200);
            for (; length > 0 && i < n; length--)
                p[i++] = p[from++];
            if (i == n)
                break;
        }
        p[i] = (char)(rand() % 40 + (rand() % 10 == 0 ? 100 : 40));
    }
    return b;
}

/* ---- what a decoder did ---- */

struct result {
    struct buf out;
    enum inflate_end end;
    size_t n;
    struct inflate_checkpoint at[64]; /* windows are copies */
};

static void
put_checkpoint(struct result *r, const struct inflate_checkpoint *c)
{
    char *window = malloc(c->window.n + 1);

    assert_true(r->n < 64);
    assert_int_equal(c->out, r->out.n);
    r->at[r->n] = *c;
    if (c->window.n > 0)
        memcpy(window, c->window.p, c->window.n);
    r->at[r->n++].window.p = window;
}

static struct result
decode(int fd, enum inflate_format format, bool fast, uint64_t spacing,
       const struct inflate_checkpoint *from)
{
    struct inflate_options o = plain_options;
    struct inflate_checkpoint c;
    struct result r = {.n = 0};
    struct inflate *f;
    struct bytes b;
    struct err err;
    int rc;

    o.fast = fast;
    o.spacing = spacing;
    buf_init(&r.out, MAX);
    f = inflate_open(fd, format, &o, &err);
    assert_non_null(f);
    if (from != NULL)
        assert_int_equal(inflate_resume(f, from, &err), 0);
    while ((rc = inflate_pull(f, &b, &err)) > 0) {
        assert_true(b.n <= INFLATE_CHUNK);
        buf_put(&r.out, b.p, b.n);
        if (inflate_checkpoint(f, &c))
            put_checkpoint(&r, &c);
    }
    if (rc < 0)
        fail_msg("pull: %s", err.message);
    assert_int_equal(inflate_position(f), (from != NULL ? from->out : 0) + r.out.n);
    r.end = inflate_end(f);
    inflate_close(f);
    return r;
}

static void
free_result(struct result *r)
{
    buf_free(&r->out);
    for (size_t i = 0; i < r->n; i++)
        free((void *)r->at[i].window.p);
}

static void
assert_same_bytes(struct bytes a, struct bytes b)
{
    assert_int_equal(a.n, b.n);
    if (a.n > 0)
        assert_memory_equal(a.p, b.p, a.n);
}

static void
assert_same(const struct result *a, const struct result *b)
{
    assert_same_bytes(buf_bytes(&a->out), buf_bytes(&b->out));
    assert_int_equal(a->end, b->end);
}

/* From each checkpoint both decoders give the rest. */
static void
resume_all(int fd, enum inflate_format format, const struct result *r)
{
    for (size_t i = 0; i < r->n; i++) {
        size_t at = (size_t)r->at[i].out;

        for (int fast = 0; fast < 2; fast++) {
            struct result rest = decode(fd, format, fast, 0, &r->at[i]);

            assert_same_bytes(buf_bytes(&rest.out), bytes_of(r->out.p + at, r->out.n - at));
            assert_int_equal(rest.end, r->end);
            free_result(&rest);
        }
    }
}

/* Both decoders, at two spacings, give `want` and end so; returns how many checkpoints there were.
 */
static size_t
check(struct bytes file, struct bytes want, enum inflate_end end)
{
    enum inflate_format format = inflate_detect(file.p, file.n);
    int fd = layers_file(file);
    struct result slow = decode(fd, format, false, SPACING, NULL);
    struct result fast = decode(fd, format, true, SPACING, NULL);
    struct result none = decode(fd, format, true, 0, NULL);
    size_t n = slow.n;

    assert_same_bytes(buf_bytes(&slow.out), want);
    assert_int_equal(slow.end, end);
    assert_same(&slow, &fast);
    assert_same(&slow, &none);
    assert_int_equal(none.n, 0);
    assert_true(fast.n + 1 >= slow.n);
    resume_all(fd, format, &slow);
    resume_all(fd, format, &fast);
    free_result(&slow);
    free_result(&fast);
    free_result(&none);
    close(fd);
    return n;
}

/* ---- gzip ---- */

static struct buf
gzip(struct bytes b, int level, int strategy, bool sync)
{
    z_stream z = {.next_in = (Bytef *)b.p};
    struct buf out;
    const char *end = (const char *)b.p + b.n;

    buf_init(&out, MAX);
    assert_int_equal(deflateInit2(&z, level, Z_DEFLATED, 31, 8, strategy), Z_OK);
    do {
        size_t part = sync ? 5000 : b.n, left = (size_t)(end - (const char *)z.next_in);

        z.avail_in = (uInt)(part < left ? part : left);
        do {
            z.next_out = buf_extend(&out, 65536);
            z.avail_out = 65536;
            deflate(&z, (const char *)z.next_in + z.avail_in == end ? Z_FINISH : Z_SYNC_FLUSH);
            buf_cut(&out, out.n - z.avail_out);
        } while (z.avail_out == 0);
    } while ((const char *)z.next_in < end);
    deflateEnd(&z);
    return out;
}

static void
every_level_of_gzip_gives_the_same(void **state)
{
    static const struct {
        int level, strategy;
        bool sync;
    } kinds[] = {{6, Z_DEFAULT_STRATEGY, false},
                 {1, Z_DEFAULT_STRATEGY, false},
                 {9, Z_DEFAULT_STRATEGY, false},
                 {0, Z_DEFAULT_STRATEGY, false},
                 {6, Z_FIXED, false},
                 {6, Z_HUFFMAN_ONLY, false},
                 {6, Z_RLE, false},
                 {6, Z_DEFAULT_STRATEGY, true}};
    struct buf b = sample(2000000, 1);

    (void)state;
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct buf z = gzip(buf_bytes(&b), kinds[i].level, kinds[i].strategy, kinds[i].sync);
        size_t n = check(buf_bytes(&z), buf_bytes(&b), INFLATE_WHOLE);

        assert_true(n >= 5 && n <= 10);
        buf_free(&z);
    }
    buf_free(&b);
}

static void
both_decoders_take_the_same_checkpoints(void **state)
{
    struct buf b = sample(3000000, 2), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false);
    int fd = layers_file(buf_bytes(&z));
    struct result slow = decode(fd, INFLATE_GZIP, false, SPACING, NULL);
    struct result fast = decode(fd, INFLATE_GZIP, true, SPACING, NULL);

    (void)state;
    if (!inflate_has_fast())
        skip();
    assert_int_equal(slow.n, fast.n);
    for (size_t i = 0; i < slow.n; i++) {
        assert_int_equal(slow.at[i].out, fast.at[i].out);
        assert_int_equal(slow.at[i].in, fast.at[i].in);
        assert_int_equal(slow.at[i].bits, fast.at[i].bits);
        assert_int_equal(slow.at[i].value, fast.at[i].value);
        assert_same_bytes(slow.at[i].window, fast.at[i].window);
    }
    free_result(&slow);
    free_result(&fast);
    close(fd);
    buf_free(&b);
    buf_free(&z);
}

static void
many_members_are_one_stream(void **state)
{
    struct buf b, all;

    (void)state;
    buf_init(&b, MAX);
    buf_init(&all, MAX);
    for (unsigned i = 0; i < 300; i++) {
        struct buf one = sample(i % 7 == 0 ? 0 : i * 20, i), z;

        z = gzip(buf_bytes(&one), (int)(i % 10), Z_DEFAULT_STRATEGY, false);
        buf_put(&all, z.p, z.n);
        buf_put(&b, one.p, one.n);
        buf_free(&one);
        buf_free(&z);
    }
    /* A member's beginning needs no window, and may be a checkpoint more often. */
    assert_in_range(check(buf_bytes(&all), buf_bytes(&b), INFLATE_WHOLE), 8, 20);
    buf_free(&b);
    buf_free(&all);
}

static void
a_header_may_have_all_its_fields(void **state)
{
    struct buf b = sample(1000, 3), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false), all;

    (void)state;
    buf_init(&all, MAX);
    buf_put(&all, "\x1f\x8b\x08\x1e\1\2\3\4\0\3\4\0abcd", 16);
    buf_puts(&all, "name");
    buf_putc(&all, 0);
    for (int i = 0; i < 300000; i++) /* longer than what is read at once */
        buf_puts(&all, "note");
    buf_putc(&all, 0);
    buf_put(&all, "??", 2);
    buf_put(&all, z.p + 10, z.n - 10);
    check(buf_bytes(&all), buf_bytes(&b), INFLATE_WHOLE);

    all.p[3] |= 0x20; /* a flag that nobody knows */
    check(buf_bytes(&all), bytes_of("", 0), INFLATE_DAMAGED);
    buf_free(&b);
    buf_free(&z);
    buf_free(&all);
}

static void
what_follows_the_last_member_is_left_alone(void **state)
{
    struct buf b = sample(700000, 4), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false);
    size_t n = z.n;

    (void)state;
    memset(buf_extend(&z, 512), 0, 512);
    check(buf_bytes(&z), buf_bytes(&b), INFLATE_TRAILED);
    buf_cut(&z, n);
    buf_puts(&z, "\x1f");
    check(buf_bytes(&z), buf_bytes(&b), INFLATE_TRAILED);
    buf_puts(&z, "\x8b and something else");
    check(buf_bytes(&z), buf_bytes(&b), INFLATE_TRAILED);
    buf_free(&b);
    buf_free(&z);
}

static void
a_cut_file_gives_what_is_before(void **state)
{
    struct buf b = sample(300000, 5), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false);
    static const size_t missing[] = {1, 8, 9, 1000, 60000};

    (void)state;
    for (size_t i = 0; i < sizeof missing / sizeof *missing; i++) {
        int fd = layers_file(bytes_of(z.p, z.n - missing[i]));

        for (int fast = 0; fast < 2; fast++) {
            struct result r = decode(fd, INFLATE_GZIP, fast, SPACING, NULL);

            assert_int_equal(r.end, INFLATE_CUT);
            assert_true(r.out.n <= b.n && r.out.n + 300 * missing[i] >= b.n);
            assert_memory_equal(r.out.p, b.p, r.out.n);
            free_result(&r);
        }
        close(fd);
    }
    check(bytes_of(z.p, 5), bytes_of("", 0), INFLATE_CUT);
    buf_free(&b);
    buf_free(&z);
}

static void
a_wrong_sum_or_length_is_damage(void **state)
{
    struct buf b = sample(3000, 6), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false);

    (void)state;
    for (size_t back = 1; back <= 8; back++) {
        z.p[z.n - back] ^= 1;
        check(buf_bytes(&z), buf_bytes(&b), INFLATE_DAMAGED);
        z.p[z.n - back] ^= 1;
    }
    buf_free(&b);
    buf_free(&z);
}

/* One flipped bit anywhere: nothing worse than an end; and what both decoders accept is the same.
 */
static void
any_flipped_bit_is_survived(void **state)
{
    struct buf b = sample(60000, 7), z = gzip(buf_bytes(&b), 6, Z_DEFAULT_STRATEGY, false);

    (void)state;
    for (unsigned seed = 0; seed < 300; seed++) {
        struct result r[2];
        size_t at;
        char bit;
        int fd;

        srand(seed);
        at = (size_t)rand() % z.n;
        bit = (char)(1 << rand() % 7);
        z.p[at] ^= bit;
        fd = layers_file(buf_bytes(&z));
        z.p[at] ^= bit;
        for (int fast = 0; fast < 2; fast++)
            r[fast] = decode(fd, INFLATE_GZIP, fast, 10000, NULL);
        if (r[0].end == INFLATE_WHOLE || r[1].end == INFLATE_WHOLE)
            assert_same(&r[0], &r[1]);
        for (int fast = 0; fast < 2; fast++)
            free_result(&r[fast]);
        close(fd);
    }
    buf_free(&b);
    buf_free(&z);
}

/* ---- the others ---- */

static void
put_zstd(struct buf *out, struct bytes b)
{
    size_t room = ZSTD_compressBound(b.n);
    char *at = buf_extend(out, room);

    buf_cut(out, out->n - room + ZSTD_compress(at, room, b.p, b.n, 3));
}

static void
zstd_frames_are_one_stream_and_begin_checkpoints(void **state)
{
    struct buf b = sample(2000000, 8), z;

    (void)state;
    buf_init(&z, MAX);
    buf_put(&z, "\x50\x2a\x4d\x18\4\0\0\0what", 12);
    put_zstd(&z, buf_bytes(&b));
    assert_int_equal(check(buf_bytes(&z), buf_bytes(&b), INFLATE_WHOLE), 0);
    buf_cut(&z, 0);
    for (size_t at = 0; at < b.n; at += 50000) {
        put_zstd(&z, bytes_of(b.p + at, 50000));
        buf_put(&z, "\x5f\x2a\x4d\x18\0\0\0\0", 8);
    }
    assert_in_range(check(buf_bytes(&z), buf_bytes(&b), INFLATE_WHOLE), 20, 40);
    z.n -= 3;
    check(buf_bytes(&z), buf_bytes(&b), INFLATE_CUT);
    z.n += 3;
    buf_puts(&z, "garbage");
    check(buf_bytes(&z), buf_bytes(&b), INFLATE_TRAILED);
    z.p[z.n / 2] ^= 0x10;
    struct result r = decode(layers_file(buf_bytes(&z)), INFLATE_ZSTD, false, 0, NULL);
    assert_true(r.end == INFLATE_DAMAGED || r.end == INFLATE_TRAILED);
    free_result(&r);
    buf_free(&b);
    buf_free(&z);
}

static void
put_xz(struct buf *out, struct bytes b)
{
    size_t room = lzma_stream_buffer_bound(b.n), n = 0;
    uint8_t *at = buf_extend(out, room);

    assert_int_equal(lzma_easy_buffer_encode(1, LZMA_CHECK_CRC32, NULL, b.p, b.n, at, &n, room),
                     LZMA_OK);
    buf_cut(out, out->n - room + n);
}

static void
put_bzip2(struct buf *out, struct bytes b)
{
    unsigned room = (unsigned)(b.n + b.n / 50 + 1000), n = room;
    char *at = buf_extend(out, room);

    assert_int_equal(BZ2_bzBuffToBuffCompress(at, &n, (char *)b.p, (unsigned)b.n, 1, 0, 0), BZ_OK);
    buf_cut(out, out->n - room + n);
}

static void
xz_and_bzip2_streams_too(void **state)
{
    void (*const put[])(struct buf * out, struct bytes b) = {put_xz, put_bzip2};
    struct buf b = sample(400000, 9), z;

    (void)state;
    buf_init(&z, MAX);
    for (size_t i = 0; i < 2; i++) {
        buf_cut(&z, 0);
        for (size_t at = 0; at < b.n; at += 100000)
            put[i](&z, bytes_of(b.p + at, 100000));
        assert_int_equal(check(buf_bytes(&z), buf_bytes(&b), INFLATE_WHOLE), 3);
        buf_puts(&z, "garbage");
        check(buf_bytes(&z), buf_bytes(&b), INFLATE_TRAILED);
        z.n -= 10;
        struct result r =
            decode(layers_file(buf_bytes(&z)), inflate_detect(z.p, z.n), false, 0, NULL);
        assert_int_equal(r.end, INFLATE_CUT);
        free_result(&r);
    }
    buf_free(&b);
    buf_free(&z);
}

static void
a_window_that_takes_too_much_memory_is_refused(void **state)
{
    struct inflate_options o = {.memory = 4u << 20};
    ZSTD_CCtx *c = ZSTD_createCCtx();
    struct buf z;
    struct inflate *f;
    struct bytes b;
    struct err err;
    size_t n;

    (void)state;
    buf_init(&z, MAX);
    ZSTD_CCtx_setParameter(c, ZSTD_c_windowLog, 24);
    ZSTD_CCtx_setParameter(c, ZSTD_c_contentSizeFlag, 0);
    struct buf data = sample(20u << 20, 10);
    char *at = buf_extend(&z, ZSTD_compressBound(data.n));
    ZSTD_inBuffer in = {data.p, data.n, 0};
    ZSTD_outBuffer out = {at, z.n, 0};
    do
        n = ZSTD_compressStream2(c, &out, &in, ZSTD_e_end);
    while (n > 0 && !ZSTD_isError(n));
    ZSTD_freeCCtx(c);
    f = inflate_open(layers_file(bytes_of(z.p, out.pos)), INFLATE_ZSTD, &o, &err);
    assert_non_null(f);
    assert_int_equal(inflate_pull(f, &b, &err), -1);
    assert_int_equal(err.code, ERR_NOT_BROWSABLE);
    inflate_close(f);
    buf_free(&data);
    buf_free(&z);
}

static void
plain_bytes_come_as_they_are(void **state)
{
    struct buf b = sample(1000000, 11);

    (void)state;
    b.p[0] = 'x';
    assert_int_equal(check(buf_bytes(&b), buf_bytes(&b), INFLATE_WHOLE), 0);
    check(bytes_of("", 0), bytes_of("", 0), INFLATE_WHOLE);
    buf_free(&b);
}

static void
formats_are_known_by_their_first_bytes(void **state)
{
    (void)state;
    assert_int_equal(inflate_detect("\x1f\x8b\x08", 3), INFLATE_GZIP);
    assert_int_equal(inflate_detect("\x1f\x8b", 2), INFLATE_PLAIN);
    assert_int_equal(inflate_detect("\x28\xb5\x2f\xfd", 4), INFLATE_ZSTD);
    assert_int_equal(inflate_detect("\x5a\x2a\x4d\x18", 4), INFLATE_ZSTD);
    assert_int_equal(inflate_detect("\xfd"
                                    "7zXZ\0",
                                    6),
                     INFLATE_XZ);
    assert_int_equal(inflate_detect("BZh9", 4), INFLATE_BZIP2);
    assert_int_equal(inflate_detect("", 0), INFLATE_PLAIN);
    assert_string_equal(inflate_format_name(INFLATE_ZSTD), "zstd");
}

/* ---- bounds ---- */

static void
more_than_the_limit_is_refused(void **state)
{
    static const struct inflate_options limits[] = {
        {.output = 5u << 20}, {.ratio = 20, .slack = 1u << 20}, {.output = 1u << 30, .ratio = 30}};
    struct buf zeros, z;

    (void)state;
    buf_init(&zeros, MAX);
    memset(buf_extend(&zeros, 50u << 20), 0, 50u << 20);
    z = gzip(buf_bytes(&zeros), 6, Z_DEFAULT_STRATEGY, false);
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct inflate *f;
        struct bytes b;
        struct err err;
        int rc;

        f = inflate_open(layers_file(buf_bytes(&z)), INFLATE_GZIP, &limits[i], &err);
        assert_non_null(f);
        while ((rc = inflate_pull(f, &b, &err)) > 0)
            ;
        assert_int_equal(rc, -1);
        assert_int_equal(err.code, ERR_NOT_BROWSABLE);
        assert_in_range(inflate_position(f), 1u << 20, 8u << 20);
        inflate_close(f);
    }
    buf_free(&zeros);
    buf_free(&z);
}

static void
a_checkpoint_that_cannot_be_is_refused(void **state)
{
    static const struct inflate_checkpoint bad[] = {
        {.inside = true, .bits = 8},
        {.inside = true, .bits = 2, .value = 4},
        {.inside = true, .window = {"", INFLATE_WINDOW + 1}},
    };
    int fd = layers_file(bytes_str("\x1f\x8b\x08"));
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct inflate *f = inflate_open(fd, INFLATE_GZIP, &plain_options, &err);
        assert_int_equal(inflate_resume(f, &bad[i], &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        inflate_close(f);
    }
    struct inflate *f = inflate_open(fd, INFLATE_ZSTD, &plain_options, &err);
    assert_int_equal(inflate_resume(f, &(struct inflate_checkpoint){.inside = true}, &err), -1);
    inflate_close(f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_level_of_gzip_gives_the_same),
        cmocka_unit_test(both_decoders_take_the_same_checkpoints),
        cmocka_unit_test(many_members_are_one_stream),
        cmocka_unit_test(a_header_may_have_all_its_fields),
        cmocka_unit_test(what_follows_the_last_member_is_left_alone),
        cmocka_unit_test(a_cut_file_gives_what_is_before),
        cmocka_unit_test(a_wrong_sum_or_length_is_damage),
        cmocka_unit_test(any_flipped_bit_is_survived),
        cmocka_unit_test(zstd_frames_are_one_stream_and_begin_checkpoints),
        cmocka_unit_test(xz_and_bzip2_streams_too),
        cmocka_unit_test(a_window_that_takes_too_much_memory_is_refused),
        cmocka_unit_test(plain_bytes_come_as_they_are),
        cmocka_unit_test(formats_are_known_by_their_first_bytes),
        cmocka_unit_test(more_than_the_limit_is_refused),
        cmocka_unit_test(a_checkpoint_that_cannot_be_is_refused),
    };
    return cmocka_run_group_tests_name("inflate", tests, NULL, NULL);
}
