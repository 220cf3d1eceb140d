/* Bytes out of a layer: any range of any file is what the tar has there, whatever the layer is
 * compressed with. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <lzma.h>
#include <zstd.h>
#include "storage/layers/layer_read.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)
#define MAX ((size_t)1 << 28)
#define FILES 40u

/* ---- a layer of files, and what they are ---- */

static struct buf contents[FILES];

static struct buf
make_tar(void)
{
    struct buf tar;
    char name[20];

    buf_init(&tar, MAX);
    srand(1);
    for (unsigned i = 0; i < FILES; i++) {
        size_t n = i == 20 ? 3000000 : (size_t)(rand() % 60000);
        char *p;

        buf_init(&contents[i], MAX);
        p = buf_extend(&contents[i], n);
        for (size_t k = 0; k < n; k++)
            p[k] = (char)(rand() % (i % 5 == 0 ? 250 : 5) + 'a');
        snprintf(name, sizeof name, "file%u", i);
        layers_put_file(&tar, name, contents[i].p, n);
    }
    layers_put_end(&tar);
    return tar;
}

static void
free_contents(void)
{
    for (unsigned i = 0; i < FILES; i++)
        buf_free(&contents[i]);
}

static int
append(void *arg, struct bytes b, struct err *err)
{
    (void)err;
    buf_put(arg, b.p, b.n);
    return 0;
}

static struct layer_entry
entry(struct layers *l, const char *name)
{
    struct layer_entry e;

    assert_int_equal(layer_index_get(l->index[0], LAYER_INDEX_ROOT, bytes_str(name), &e, &l->err),
                     1);
    return e;
}

static int
read_range(struct layers *l, const char *name, uint64_t from, uint64_t n,
           const struct layer_read_limits *limits, struct buf *out)
{
    struct layer_entry e = entry(l, name);

    buf_reset(out);
    return layer_read(l->blob[0], l->index[0], &e, from, n, limits, append, out, &l->err);
}

static void
random_ranges(struct layers *l)
{
    struct buf out;
    char name[20];

    buf_init(&out, MAX);
    for (unsigned k = 0; k < 300; k++) {
        unsigned i = (unsigned)rand() % FILES;
        size_t size = contents[i].n, from = size > 0 ? (size_t)rand() % size : 0;
        size_t n = k % 3 == 0 ? size - from : (size_t)rand() % (size - from + 1);

        snprintf(name, sizeof name, "file%u", i);
        if (read_range(l, name, from, n, &layer_read_defaults, &out) != 0)
            fail_msg("%s: %s", name, l->err.message);
        assert_int_equal(out.n, n);
        if (n > 0)
            assert_memory_equal(out.p, contents[i].p + from, n);
    }
    buf_free(&out);
}

static void
random_ranges_of_plain_and_gzip_layers(void **state)
{
    struct buf tar = make_tar();

    for (int level = -1; level < 10; level += 5) {
        struct layers *l = *state;
        struct buf z;

        buf_init(&z, MAX);
        l->limits.spacing = 300000;
        if (level < 0)
            layers_add_bytes(l, buf_bytes(&tar));
        else
            layers_gzip(&z, buf_bytes(&tar), level);
        if (level >= 0)
            layers_add_bytes(l, buf_bytes(&z));
        random_ranges(l);
        buf_free(&z);
        layers_end(state);
        layers_begin(state);
    }
    buf_free(&tar);
    free_contents();
}

static void
random_ranges_of_members_and_frames(void **state)
{
    struct buf tar = make_tar();

    for (int kind = 0; kind < 3; kind++) {
        struct layers *l = *state;
        struct buf z;

        buf_init(&z, MAX);
        l->limits.spacing = 300000;
        for (size_t at = 0; at < tar.n; at += 100000) {
            struct bytes part = bytes_of(tar.p + at, tar.n - at < 100000 ? tar.n - at : 100000);
            char *room = buf_extend(&z, 200000);
            size_t n = 0;

            if (kind == 0) {
                struct buf one;
                buf_init(&one, MAX);
                layers_gzip(&one, part, 6);
                memcpy(room, one.p, n = one.n);
                buf_free(&one);
            } else if (kind == 1) {
                n = ZSTD_compress(room, 200000, part.p, part.n, 1);
            } else {
                lzma_easy_buffer_encode(0, LZMA_CHECK_NONE, NULL, part.p, part.n, (uint8_t *)room,
                                        &n, 200000);
            }
            buf_cut(&z, z.n - 200000 + n);
        }
        layers_add_bytes(l, buf_bytes(&z));
        assert_true(l->info[0].browsable);
        random_ranges(l);
        buf_free(&z);
        layers_end(state);
        layers_begin(state);
    }
    buf_free(&tar);
    free_contents();
}

static void
too_long_a_way_is_refused(void **state)
{
    struct layers *l = *state;
    struct layer_read_limits near = layer_read_defaults;
    struct buf tar = make_tar(), z, out;
    struct layer_entry e;

    buf_init(&z, MAX);
    buf_init(&out, MAX);
    layers_gzip(&z, buf_bytes(&tar), 6);
    l->limits.spacing = 0; /* no checkpoints */
    layers_add_bytes(l, buf_bytes(&z));
    near.distance = 1000000;
    assert_int_equal(read_range(l, "file1", 0, 1, &near, &out), 0);
    assert_int_equal(read_range(l, "file20", 2000000, 1, &near, &out), -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    assert_int_equal(out.n, 0);
    assert_int_equal(read_range(l, "file39", 0, 1, &near, &out), -1);
    e = entry(l, "file39");
    assert_int_equal(layer_read_check(l->index[0], &e, 0, &near, &l->err), -1);
    assert_int_equal(layer_read_check(l->index[0], &e, 0, &layer_read_defaults, &l->err), 0);
    buf_free(&tar);
    buf_free(&z);
    buf_free(&out);
    free_contents();
}

static void
only_files_have_bytes_and_only_so_many(void **state)
{
    struct layers *l = *state;
    struct buf out;

    buf_init(&out, MAX);
    layers_add(l, "f f 12345", "d d", "l l f", "f empty ", NULL);
    assert_int_equal(read_range(l, "d", 0, 0, &layer_read_defaults, &out), -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    assert_int_equal(read_range(l, "l", 0, 0, &layer_read_defaults, &out), -1);
    assert_int_equal(l->err.code, ERR_NO_FILE);
    assert_int_equal(read_range(l, "f", 2, 4, &layer_read_defaults, &out), -1);
    assert_int_equal(l->err.code, ERR_BAD_RANGE);
    assert_int_equal(read_range(l, "f", 6, 0, &layer_read_defaults, &out), -1);
    assert_int_equal(read_range(l, "f", UINT64_MAX, 2, &layer_read_defaults, &out), -1);
    assert_int_equal(read_range(l, "f", 5, 0, &layer_read_defaults, &out), 0);
    assert_int_equal(read_range(l, "f", 2, 3, &layer_read_defaults, &out), 0);
    assert_memory_equal(out.p, "345", 3);
    assert_int_equal(read_range(l, "empty", 0, 0, &layer_read_defaults, &out), 0);
    buf_free(&out);
}

/* ---- sparse files, put together by hand ---- */

static void
sparse_ranges_have_their_zeros(void **state)
{
    static const struct layer_piece pieces[] = {{100, 50}, {150, 10}, {1000, 1}, {5000, 0}};
    struct layer_entry e = {
        .type = LAYER_FILE, .flags = LAYER_SPARSE, .size = 5000, .data = 3, .name = {"f", 1}};
    struct layer_info info = {.browsable = true, .format = INFLATE_PLAIN};
    char want[5000] = {0}, blob[64];
    struct layers *l = *state;
    struct layer_index_writer *w;
    int fd = layers_file(bytes_of("", 0));
    struct buf out;

    for (int i = 0; i < 64; i++)
        blob[i] = (char)('A' + i);
    memcpy(want + 100, blob + 3, 60);
    want[1000] = blob[63];
    w = layer_index_create(fd);
    assert_int_equal(layer_index_put_entry(w, 0, &e, &l->err), 0);
    e.name = bytes_str("g");
    e.data = 4;
    assert_int_equal(layer_index_put_entry(w, 0, &e, &l->err), 0);
    assert_int_equal(layer_index_put_info(w, &info, &l->err), 0);
    assert_int_equal(layer_index_put_sparse(w, 3, pieces, 4, &l->err), 0);
    assert_int_equal(layer_index_finish(w, &l->err), 0);
    layer_index_free(w);
    l->n = 1;
    l->blob[0] = layers_file(bytes_of(blob, sizeof blob));
    l->index[0] = layer_index_open(fd, &l->err);
    assert_non_null(l->index[0]);
    buf_init(&out, MAX);
    srand(3);
    for (int i = 0; i < 2000; i++) {
        unsigned from = (unsigned)(i % 2 == 0 ? rand() % 200 : rand() % 5000);
        unsigned n = (unsigned)rand() % (i % 3 == 0 ? 5001 - from : from < 4900 ? 100 : 1);

        assert_int_equal(read_range(l, "f", from, n, &layer_read_defaults, &out), 0);
        assert_int_equal(out.n, n);
        if (n > 0)
            assert_memory_equal(out.p, want + from, n);
    }
    /* One whose pieces are not known. */
    assert_int_equal(read_range(l, "g", 0, 1, &layer_read_defaults, &out), -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    e.data = 3;
    e.size = LAYER_READ_SPARSE_MAX;
    assert_int_equal(layer_read_check(l->index[0], &e, 0, &layer_read_defaults, &l->err), 0);
    e.size++;
    assert_int_equal(layer_read_check(l->index[0], &e, 0, &layer_read_defaults, &l->err), -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    buf_free(&out);
}

/* One reader for many files: in any order they are what they are, and in the order of their data
 * the layer is decoded once. */
static void
a_reader_goes_on_where_it_is(void **state)
{
    static const struct layer_read_limits far = {UINT64_MAX, UINT64_MAX, 60000, 32u << 20};
    struct layers *l = *state;
    struct buf tar = make_tar(), blob, out;
    struct layer_reader *r;
    struct layer_entry e;
    uint64_t once;
    char name[20];

    buf_init(&blob, MAX);
    buf_init(&out, MAX);
    l->limits.spacing = 1u << 18;
    layers_gzip(&blob, buf_bytes(&tar), 6);
    layers_add_bytes(l, buf_bytes(&blob));
    r = layer_read_begin(l->blob[0], l->index[0], &far);
    assert_non_null(r);
    for (unsigned i = 0; i < 400; i++) {
        unsigned file = i < FILES ? i : (unsigned)rand() % FILES;

        snprintf(name, sizeof name, "file%u", file);
        e = entry(l, name);
        buf_reset(&out);
        assert_int_equal(
            layer_read_more(r, &e, e.size / 3, e.size - e.size / 3, append, &out, &l->err), 0);
        assert_true(bytes_equal(buf_bytes(&out), bytes_of(contents[file].p + e.size / 3,
                                                          contents[file].n - e.size / 3)));
        if (i == FILES - 1)
            once = layer_read_decoded(r);
        if (i == FILES - 1)
            assert_true(once <= tar.n);
    }
    assert_true(layer_read_decoded(r) > once);
    e.data = tar.n + 5;
    assert_int_equal(layer_read_more(r, &e, 0, 1, append, &out, &l->err), -1);
    assert_int_equal(l->err.code, ERR_NOT_BROWSABLE);
    e = entry(l, "file3");
    buf_reset(&out);
    assert_int_equal(layer_read_more(r, &e, 0, e.size, append, &out, &l->err), 0);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&contents[3])));
    layer_read_end(r);
    free_contents();
    buf_free(&tar);
    buf_free(&blob);
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(random_ranges_of_plain_and_gzip_layers),
        TEST(random_ranges_of_members_and_frames),
        TEST(too_long_a_way_is_refused),
        TEST(only_files_have_bytes_and_only_so_many),
        TEST(sparse_ranges_have_their_zeros),
        TEST(a_reader_goes_on_where_it_is),
    };
    return cmocka_run_group_tests_name("layer_read", tests, NULL, NULL);
}
