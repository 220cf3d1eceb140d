/* Files of sorted records: what was put is found, and a damaged file is never anything else than
 * that. */
#include "layer_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "storage/layers/sorted_file.h"
#include "storage/layers/sorted_writer.h"

#define RECORDS 20000u
#define LARGE 40000u

static struct err err;
static char large[LARGE];

/* Record i: keys of different lengths that ascend, every other number; values of 0 to 40 bytes, and
 * now and then a large one that doesn't compress. */
static struct bytes
key_at(unsigned number, char room[64])
{
    return bytes_of(room, (size_t)snprintf(room, 64, "%06u%.*s", number, (int)(number / 2 % 30),
                                           "abcdefghijklmnopqrstuvwxyz0123"));
}

static struct bytes
value_at(unsigned i, char room[64])
{
    if (i % 5000 == 7)
        return bytes_of(large, LARGE - i % 100);
    return bytes_of(room, (size_t)snprintf(room, 64, "%.*s%u", (int)(i % 30),
                                           "the value of this record is no", i));
}

static int
make(unsigned records)
{
    int fd = layers_file(bytes_of("", 0));
    struct sorted_writer *w = sorted_writer_new(fd);
    char key[64], value[64];

    assert_non_null(w);
    srand(1);
    for (size_t i = 0; i < sizeof large; i++)
        large[i] = (char)rand();
    for (unsigned i = 0; i < records; i++)
        if (sorted_writer_put(w, key_at(2 * i + 1, key), value_at(i, value), &err) != 0)
            fail_msg("put: %s", err.message);
    assert_int_equal(sorted_writer_finish(w, &err), 0);
    sorted_writer_free(w);
    return fd;
}

static struct sorted_file *
open_made(unsigned records)
{
    struct sorted_file *f = sorted_file_open(make(records), &err);

    assert_non_null(f);
    return f;
}

static void
what_was_put_is_found(void **state)
{
    struct sorted_file *f = open_made(RECORDS);
    char key[64], value[64];
    struct bytes found;

    (void)state;
    for (unsigned i = 0; i < RECORDS; i += 1 + i % 3) {
        assert_int_equal(sorted_file_get(f, key_at(2 * i + 1, key), &found, &err), 1);
        assert_true(bytes_equal(found, value_at(i, value)));
        assert_int_equal(sorted_file_get(f, key_at(2 * i, key), &found, &err), 0);
    }
    assert_int_equal(sorted_file_get(f, bytes_str("zz"), &found, &err), 0);
    assert_int_equal(sorted_file_get(f, bytes_str(""), &found, &err), 0);
    sorted_file_close(f);
}

static void
the_floor_of_a_key_is_the_record_before_it(void **state)
{
    struct sorted_file *f = open_made(RECORDS);
    char key[64], want[64];
    struct bytes found, value;

    (void)state;
    for (unsigned i = 0; i < RECORDS; i += 7) {
        assert_int_equal(sorted_file_floor(f, key_at(2 * i + 2, key), &found, &value, &err), 1);
        assert_true(bytes_equal(found, key_at(2 * i + 1, want)));
        assert_int_equal(sorted_file_floor(f, key_at(2 * i + 1, key), &found, &value, &err), 1);
        assert_true(bytes_equal(found, key_at(2 * i + 1, want)));
    }
    assert_int_equal(sorted_file_floor(f, bytes_str("000000"), &found, &value, &err), 0);
    assert_int_equal(sorted_file_floor(f, bytes_str("zz"), &found, &value, &err), 1);
    assert_true(bytes_equal(found, key_at(2 * RECORDS - 1, want)));
    sorted_file_close(f);
}

static void
cursors_go_on_from_any_key_side_by_side(void **state)
{
    struct sorted_file *f = open_made(RECORDS);
    struct sorted_cursor c[20];
    char key[64], want[64];
    struct bytes k, v;

    (void)state;
    for (unsigned i = 0; i < 20; i++)
        assert_int_equal(sorted_file_seek(f, &c[i], key_at(2 * i * 1000, key), &err), 0);
    for (unsigned n = 0; n < 1000; n++)
        for (unsigned i = 0; i < 20; i++) {
            assert_int_equal(sorted_file_next(&c[i], &k, &v, &err), 1);
            assert_true(bytes_equal(k, key_at(2 * (i * 1000 + n) + 1, want)));
            assert_true(bytes_equal(v, value_at(i * 1000 + n, want)));
        }
    assert_int_equal(sorted_file_next(&c[19], &k, &v, &err), 0);
    assert_int_equal(sorted_file_next(&c[19], &k, &v, &err), 0);
    for (unsigned i = 0; i < 20; i++)
        sorted_file_leave(&c[i]);
    sorted_file_close(f);
}

static void
a_file_may_be_empty_or_have_one_record(void **state)
{
    struct sorted_cursor c;
    struct bytes k, v;
    char key[64];

    (void)state;
    for (unsigned n = 0; n < 3; n++) {
        struct sorted_file *f = open_made(n);

        assert_int_equal(sorted_file_get(f, key_at(1, key), &v, &err), n > 0);
        assert_int_equal(sorted_file_seek(f, &c, bytes_str(""), &err), 0);
        for (unsigned i = 0; i < n; i++)
            assert_int_equal(sorted_file_next(&c, &k, &v, &err), 1);
        assert_int_equal(sorted_file_next(&c, &k, &v, &err), 0);
        sorted_file_leave(&c);
        sorted_file_close(f);
    }
}

static void
keys_have_to_ascend_and_to_fit(void **state)
{
    struct sorted_writer *w = sorted_writer_new(layers_file(bytes_of("", 0)));
    static char long_one[SORTED_FORMAT_VALUE_MAX + 1];

    (void)state;
    assert_int_equal(sorted_writer_put(w, bytes_str("b"), bytes_str(""), &err), 0);
    assert_int_equal(sorted_writer_put(w, bytes_str("b"), bytes_str(""), &err), -1);
    assert_int_equal(sorted_writer_put(w, bytes_str("a"), bytes_str(""), &err), -1);
    assert_int_equal(
        sorted_writer_put(w, bytes_of(long_one, SORTED_FORMAT_KEY_MAX + 1), bytes_str(""), &err),
        -1);
    assert_int_equal(
        sorted_writer_put(w, bytes_str("c"), bytes_of(long_one, sizeof long_one), &err), -1);
    assert_int_equal(
        sorted_writer_put(w, bytes_str("c"), bytes_of(long_one, SORTED_FORMAT_VALUE_MAX), &err), 0);
    sorted_writer_free(w);
}

/* ---- damage ---- */

/* Reads all, by cursor and by key. 1: all was found and right; 0: ERR_CORRUPT was said. */
static int
read_all(int fd, unsigned records)
{
    struct sorted_file *f = sorted_file_open(fd, &err);
    struct sorted_cursor c = {.block = NULL};
    char room[64];
    struct bytes k, v;
    unsigned n = 0;
    int rc = -1;

    if (f != NULL && (rc = sorted_file_seek(f, &c, bytes_str(""), &err)) == 0)
        for (; (rc = sorted_file_next(&c, &k, &v, &err)) > 0; n++) {
            assert_true(bytes_equal(k, key_at(2 * n + 1, room)));
            assert_true(bytes_equal(v, value_at(n, room)));
        }
    for (unsigned i = 0; rc == 0 && i < records; i += 97) {
        rc = sorted_file_get(f, key_at(2 * i + 1, room), &v, &err) == 1 ? 0 : -1;
        if (rc == 0)
            assert_true(bytes_equal(v, value_at(i, room)));
    }
    if (f != NULL) {
        sorted_file_leave(&c);
        sorted_file_close(f);
    }
    if (rc == 0) {
        assert_int_equal(n, records);
        return 1;
    }
    assert_int_equal(err.code, ERR_CORRUPT);
    return 0;
}

static void
any_flipped_bit_is_found(void **state)
{
    unsigned records = 3000;
    int made = make(records);
    off_t size = lseek(made, 0, SEEK_END);
    unsigned char byte;

    (void)state;
    assert_int_equal(read_all(made, records), 1);
    for (off_t at = 0; at < size; at += at < 200 || at > size - 200 ? 1 : 41) {
        assert_int_equal(pread(made, &byte, 1, at), 1);
        byte ^= (unsigned char)(1 << at % 8);
        assert_int_equal(pwrite(made, &byte, 1, at), 1);
        if (read_all(made, records) != 0)
            fail_msg("byte %lld", (long long)at);
        byte ^= (unsigned char)(1 << at % 8);
        assert_int_equal(pwrite(made, &byte, 1, at), 1);
    }
    assert_int_equal(read_all(made, records), 1);
}

static void
a_cut_or_longer_file_is_found(void **state)
{
    int made = make(3000);
    off_t size = lseek(made, 0, SEEK_END);

    (void)state;
    assert_int_equal(ftruncate(made, size + 1), 0);
    assert_null(sorted_file_open(made, &err));
    assert_int_equal(err.code, ERR_CORRUPT);
    for (off_t n = size - 1; n > 0; n = n * 9 / 10) {
        assert_int_equal(ftruncate(made, n), 0);
        assert_null(sorted_file_open(made, &err));
        assert_int_equal(err.code, ERR_CORRUPT);
    }
}

static void
a_file_that_is_cut_while_it_is_open_is_an_error_and_no_signal(void **state)
{
    int made = make(RECORDS);
    struct sorted_file *f = sorted_file_open(made, &err);
    char key[64];
    struct bytes v;

    (void)state;
    assert_int_equal(sorted_file_get(f, key_at(1, key), &v, &err), 1);
    assert_int_equal(ftruncate(made, 4096), 0);
    assert_int_equal(sorted_file_get(f, key_at(RECORDS, key), &v, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    sorted_file_close(f);
}

static void
a_blocks_sum_is_right_for_its_place_only(void **state)
{
    uint8_t block[100] = {1, 2, 3};
    uint32_t n;

    (void)state;
    sorted_format_seal(block, sizeof block, 1000, 92);
    assert_true(sorted_format_open(block, sizeof block, 1000, &n));
    assert_int_equal(n, 92);
    assert_false(sorted_format_open(block, sizeof block, 1100, &n));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_found),
        cmocka_unit_test(the_floor_of_a_key_is_the_record_before_it),
        cmocka_unit_test(cursors_go_on_from_any_key_side_by_side),
        cmocka_unit_test(a_file_may_be_empty_or_have_one_record),
        cmocka_unit_test(keys_have_to_ascend_and_to_fit),
        cmocka_unit_test(any_flipped_bit_is_found),
        cmocka_unit_test(a_cut_or_longer_file_is_found),
        cmocka_unit_test(a_file_that_is_cut_while_it_is_open_is_an_error_and_no_signal),
        cmocka_unit_test(a_blocks_sum_is_right_for_its_place_only),
    };
    return cmocka_run_group_tests_name("sorted_file", tests, NULL, NULL);
}
