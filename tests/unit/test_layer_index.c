/* Indexes of layers: what was put is found, and what is damaged is ERR_CORRUPT. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TEST(name) cmocka_unit_test_setup_teardown(name, layers_begin, layers_end)

static void
an_entry_comes_back_as_it_was(void **state)
{
    static const struct layer_entry entries[] = {
        {.type = LAYER_FILE,
         .mode = 07777,
         .uid = UINT64_MAX,
         .gid = 1,
         .size = INT64_MAX,
         .mtime = INT64_MIN,
         .nanos = 999999999,
         .data = INT64_MAX,
         .flags = LAYER_SPARSE},
        {.type = LAYER_DIR,
         .mode = 0755,
         .dir = UINT32_MAX,
         .mtime = -1,
         .flags = LAYER_OPAQUE | LAYER_IMPLICIT | LAYER_HIDES_BELOW},
        {.type = LAYER_SYMLINK, .link = {"to\xff", 3}, .mtime = INT64_MAX},
        {.type = LAYER_CHAR, .major = 300, .minor = UINT32_MAX, .xattrs = 5},
        {.type = LAYER_BLOCK, .major = 8},
        {.type = LAYER_FIFO},
        {.type = LAYER_NONE, .flags = LAYER_HIDES_BELOW},
        {.type = LAYER_NONE, .flags = LAYER_LOWER | LAYER_HARD_LINK, .link = {"a/b", 3}},
        {.type = LAYER_FILE, .flags = LAYER_HARD_LINK, .link = {"a", 1}, .size = 3},
    };
    struct layer_entry e;
    struct buf b;

    (void)state;
    buf_init(&b, 10000);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        const struct layer_entry *want = &entries[i];

        buf_reset(&b);
        layer_entry_encode(&b, want);
        e.name = bytes_str("n");
        assert_true(layer_entry_decode(&e, buf_bytes(&b)));
        assert_true(bytes_equal(e.link, want->link));
        e.link = want->link;
        e.name = want->name;
        assert_int_equal(e.type, want->type);
        assert_int_equal(e.flags, want->flags);
        assert_true(e.mode == want->mode && e.uid == want->uid && e.gid == want->gid);
        assert_true(e.size == want->size && e.data == want->data && e.dir == want->dir);
        assert_true(e.mtime == want->mtime && e.nanos == want->nanos);
        assert_true(e.major == want->major && e.minor == want->minor && e.xattrs == want->xattrs);
        /* Cut anywhere before the link it is none. */
        for (size_t n = 0; n < b.n - want->link.n; n++)
            assert_false(layer_entry_decode(&e, bytes_of(b.p, n)));
    }
    buf_free(&b);
}

static void
names_that_cannot_be_are_known(void **state)
{
    char name[300];

    (void)state;
    memset(name, 'x', sizeof name);
    assert_true(layer_entry_name_ok(bytes_of(name, 255)));
    assert_true(layer_entry_name_ok(bytes_str("...")));
    assert_true(layer_entry_name_ok(bytes_str("\xff\n")));
    assert_false(layer_entry_name_ok(bytes_of(name, 256)));
    assert_false(layer_entry_name_ok(bytes_str("")));
    assert_false(layer_entry_name_ok(bytes_str(".")));
    assert_false(layer_entry_name_ok(bytes_str("..")));
    assert_false(layer_entry_name_ok(bytes_str("a/b")));
    assert_false(layer_entry_name_ok(bytes_of("a\0b", 3)));
}

static void
the_nearest_checkpoint_is_found(void **state)
{
    struct layers *l = *state;
    int fd = layers_file(bytes_of("", 0));
    struct layer_index_writer *w = layer_index_create(fd);
    struct layer_info info = {.browsable = true, .format = INFLATE_GZIP};
    struct inflate_checkpoint c;
    struct layer_index *x;
    char window[INFLATE_WINDOW];

    srand(1);
    for (size_t i = 0; i < sizeof window; i++)
        window[i] = (char)rand();
    for (unsigned i = 1; i <= 50; i++) {
        c = (struct inflate_checkpoint){.out = i * 1000000,
                                        .in = i * 300000,
                                        .inside = i % 2 == 0,
                                        .bits = i % 8,
                                        .value = (uint8_t)((1u << i % 8) - 1)};
        if (i % 2 == 0)
            c.window = bytes_of(window, sizeof window - i);
        assert_int_equal(layer_index_put_checkpoint(w, &c, &l->err), 0);
    }
    assert_int_equal(layer_index_put_info(w, &info, &l->err), 0);
    assert_int_equal(layer_index_finish(w, &l->err), 0);
    layer_index_free(w);
    x = layer_index_open(fd, &l->err);
    assert_non_null(x);
    assert_int_equal(layer_index_checkpoint(x, 999999, &c, &l->err), 0);
    for (unsigned i = 1; i <= 50; i++)
        for (unsigned more = 0; more < 1000000; more += 333333) {
            assert_int_equal(layer_index_checkpoint(x, i * 1000000 + more, &c, &l->err), 1);
            assert_int_equal(c.out, i * 1000000);
            assert_int_equal(c.in, i * 300000);
            assert_int_equal(c.inside, i % 2 == 0);
            assert_int_equal(c.bits, i % 8);
            assert_int_equal(c.window.n, i % 2 == 0 ? sizeof window - i : 0);
            if (c.window.n > 0)
                assert_memory_equal(c.window.p, window, c.window.n);
        }
    assert_int_equal(layer_index_checkpoint(x, UINT64_MAX, &c, &l->err), 1);
    layer_index_close(x);
}

static void
a_directory_is_not_below_itself(void **state)
{
    struct layers *l = *state;
    int fd = layers_file(bytes_of("", 0));
    struct layer_index_writer *w = layer_index_create(fd);
    struct layer_info info = {.browsable = true};
    struct layer_entry e = {.name = {"loop", 4}, .type = LAYER_DIR, .dir = 3};
    struct layer_index *x;

    assert_int_equal(layer_index_put_entry(w, 3, &e, &l->err), 0);
    assert_int_equal(layer_index_put_info(w, &info, &l->err), 0);
    assert_int_equal(layer_index_finish(w, &l->err), 0);
    layer_index_free(w);
    x = layer_index_open(fd, &l->err);
    assert_int_equal(layer_index_get(x, 3, bytes_str("loop"), &e, &l->err), -1);
    assert_int_equal(l->err.code, ERR_CORRUPT);
    layer_index_close(x);
}

/* Every look-up in a damaged index gives what was put, or ERR_CORRUPT. */
static void
any_flipped_bit_or_cut_of_an_index_is_found(void **state)
{
    struct layers *l = *state;
    struct buf tar, copy, z, want;
    char line[100];

    buf_init(&tar, 1u << 24);
    buf_init(&z, 1u << 24);
    buf_init(&want, 1u << 24);
    for (int i = 0; i < 1000; i++) {
        snprintf(line, sizeof line, "f dir%d/sub%d/file%d text", i / 100, i / 10, i);
        layers_put_line(&tar, line);
    }
    layers_put_end(&tar);
    layers_gzip(&z, buf_bytes(&tar), 6);
    l->limits.spacing = 100000;
    layers_add_bytes(l, buf_bytes(&z));
    buf_puts(&want, layers_alone(l, 0));

    /* The index's file once more, to be damaged. */
    int out = layers_file(bytes_of("", 0));
    struct layer_info info;
    assert_int_equal(layer_scan(l->blob[0], &l->info[0].layer, out, &l->limits, &info, &l->err), 0);
    off_t size = lseek(out, 0, SEEK_END);
    buf_init(&copy, 1u << 24);
    assert_int_equal(pread(out, buf_extend(&copy, (size_t)size), (size_t)size, 0), size);
    close(out);
    for (size_t at = 0; at < copy.n; at += 1 + at / 50) {
        struct layer_index *x, *good = l->index[0];
        char bit = (char)(1 << at % 7);

        copy.p[at] ^= bit;
        x = layer_index_open(layers_file(buf_bytes(&copy)), &l->err);
        copy.p[at] ^= bit;
        if (x == NULL) {
            assert_int_equal(l->err.code, ERR_CORRUPT);
            continue;
        }
        for (int i = 0; i < 1000; i += 9) {
            struct layer_entry e = {.dir = 0};
            char name[40];
            int rc = 1;

            for (int k = 0; k < 3 && rc > 0; k++) {
                snprintf(name, sizeof name,
                         k == 0   ? "dir%d"
                         : k == 1 ? "sub%d"
                                  : "file%d",
                         k == 0   ? i / 100
                         : k == 1 ? i / 10
                                  : i);
                rc = layer_index_get(x, e.dir, bytes_str(name), &e, &l->err);
            }
            assert_true(rc == 1 || (rc == -1 && l->err.code == ERR_CORRUPT));
            if (rc == 1)
                assert_int_equal(e.size, 4);
        }
        layer_index_close(x);
        l->index[0] = good;
    }
    for (size_t n = 0; n < copy.n; n += 1 + copy.n / 40) {
        assert_null(layer_index_open(layers_file(bytes_of(copy.p, n)), &l->err));
        assert_int_equal(l->err.code, ERR_CORRUPT);
    }
    buf_free(&tar);
    buf_free(&z);
    buf_free(&want);
    buf_free(&copy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_entry_comes_back_as_it_was),
        cmocka_unit_test(names_that_cannot_be_are_known),
        TEST(the_nearest_checkpoint_is_found),
        TEST(a_directory_is_not_below_itself),
        TEST(any_flipped_bit_or_cut_of_an_index_is_found),
    };
    return cmocka_run_group_tests_name("layer_index", tests, NULL, NULL);
}
