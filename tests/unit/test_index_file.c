/* The files below index/: what can be lost is made again, and what is damaged goes. */
#include "layer_fixture.h"
#include "store_fixture.h"
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include "storage/layers/index_store.h"
#include "storage/layers/sorted_format.h"
#include "storage/layers/sorted_writer.h"
#include "util/fdio.h"
#include "util/pack.h"

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_files, fixture_done)

static struct index_store
in_data_directory(const struct fixture *f)
{
    return (struct index_store){.root = f->reg.dirfd, .dir = f->reg.dirfd};
}

/* Scans a layer of one file into a new index, without a name as yet. */
static int
scanned(struct fixture *f, struct digest *layer)
{
    struct layer_info info;
    struct buf tar;
    int blob, fd;

    buf_init(&tar, 1 << 20);
    layers_put_line(&tar, "f a/b text");
    layers_put_end(&tar);
    digest_of(layer, DIGEST_SHA256, buf_bytes(&tar));
    blob = layers_file(buf_bytes(&tar));
    buf_free(&tar);
    fd = index_file_create(f->reg.dirfd, &f->err);
    assert_true(fd >= 0);
    OK(f, layer_scan(blob, layer, fd, &layer_scan_defaults, &info, &f->err));
    fdio_close(blob);
    return fd;
}

static struct digest
published(struct fixture *f)
{
    struct digest layer;
    int fd = scanned(f, &layer);

    OK(f, index_file_publish(f->reg.dirfd, fd, &layer, &f->err));
    fdio_close(fd);
    return layer;
}

static bool
is_there(const struct digest *layer)
{
    char path[INDEX_FILE_PATH_MAX];
    struct stat st;

    index_file_path(path, layer);
    return stat(path, &st) == 0;
}

/* 1 or 0. */
static int
opens(struct fixture *f, const struct digest *layer)
{
    struct layer_index *x;
    int rc = index_file_open(f->reg.dirfd, layer, &x, &f->err);

    assert_in_range(rc, 0, 1);
    layer_index_close(x);
    return rc;
}

static void
an_index_is_found_by_its_layer(void **state)
{
    struct fixture *f = *state;
    struct digest layer = published(f);
    struct layer_info info;

    assert_int_equal(opens(f, &layer), 1);
    assert_int_equal(index_store_info(in_data_directory(f), &layer, &info, &f->err), 1);
    assert_true(info.browsable);
    assert_true(digest_equal(&info.diff_id, &layer)); /* it isn't compressed */
    assert_int_equal(info.files, 1);
    OK(f, index_file_remove(f->reg.dirfd, &layer, &f->err));
    assert_int_equal(opens(f, &layer), 0);
    OK(f, index_file_remove(f->reg.dirfd, &layer, &f->err));
}

static void
without_the_directory_there_is_none(void **state)
{
    struct fixture *f = *state;
    struct digest layer = fixture_digest("x");

    assert_int_equal(opens(f, &layer), 0);
    OK(f, index_file_remove(f->reg.dirfd, &layer, &f->err));
}

static void
all_of_them_may_go_while_one_is_made(void **state)
{
    struct fixture *f = *state;
    struct digest layer;
    int fd = scanned(f, &layer);

    OK(f, fdio_remove_tree(f->reg.dirfd, "index", &f->err));
    OK(f, index_file_publish(f->reg.dirfd, fd, &layer, &f->err));
    fdio_close(fd);
    assert_int_equal(opens(f, &layer), 1);
}

static void
one_that_is_given_up_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct digest layer;

    fdio_close(scanned(f, &layer));
    assert_int_equal(fixture_entries(f, "index"), 0);
}

static void
the_one_that_is_there_stays(void **state)
{
    struct fixture *f = *state;
    struct digest layer = published(f);
    struct stat before, after;
    char path[INDEX_FILE_PATH_MAX];

    index_file_path(path, &layer);
    assert_int_equal(stat(path, &before), 0);
    published(f);
    assert_int_equal(stat(path, &after), 0);
    assert_int_equal(before.st_ino, after.st_ino);
}

/* Each kind of damage that its beginning shows. */
static void
what_is_damaged_goes(void **state)
{
    struct fixture *f = *state;
    char path[INDEX_FILE_PATH_MAX], other[INDEX_FILE_PATH_MAX];
    struct digest layer = published(f), stranger = fixture_digest("x");
    int fd;

    index_file_path(path, &layer);
    assert_int_equal(truncate(path, 40), 0);
    assert_int_equal(opens(f, &layer), 0);
    assert_false(is_there(&layer));

    published(f);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "\xff", 1, 9), 1);
    fdio_close(fd);
    assert_int_equal(opens(f, &layer), 0);
    assert_false(is_there(&layer));

    published(f);
    index_file_path(other, &stranger);
    fdio_mkdir(f->reg.dirfd, "index/sha256", 0700, &f->err);
    snprintf(path, sizeof path, "%.*s", (int)(strrchr(other, '/') - other), other);
    fdio_mkdir(f->reg.dirfd, path, 0700, &f->err);
    index_file_path(path, &layer);
    assert_int_equal(link(path, other), 0);
    assert_int_equal(opens(f, &stranger), 0);
    assert_false(is_there(&stranger));
    assert_int_equal(opens(f, &layer), 1);
}

static void
a_refusal_is_an_index_too(void **state)
{
    struct fixture *f = *state;
    struct layer_info info = {.layer = fixture_digest("x"), .layer_size = 7, .remark = "too slow"};
    struct layer_info got;

    OK(f, index_store_refuse(in_data_directory(f), &info, &f->err));
    assert_int_equal(index_store_info(in_data_directory(f), &info.layer, &got, &f->err), 1);
    assert_false(got.browsable);
    assert_string_equal(got.remark, "too slow");
    assert_int_equal(got.layer_size, 7);
    assert_int_equal(got.diff_id.algo, DIGEST_NONE);
}

static int
count(const struct digest *layer, void *arg, struct err *err)
{
    (void)err;
    assert_true(is_there(layer));
    ++*(int *)arg;
    return 0;
}

static void
a_sweep_sees_each(void **state)
{
    struct fixture *f = *state;
    struct layer_info info = {.layer = fixture_digest("x"), .remark = "no"};
    int n = 0;

    OK(f, index_file_each(f->reg.dirfd, 0, count, &n, &f->err));
    published(f);
    OK(f, index_store_refuse(in_data_directory(f), &info, &f->err));
    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++)
        OK(f, index_file_each(f->reg.dirfd, i, count, &n, &f->err));
    assert_int_equal(n, 2);
}

/* Another server of the same database reads it there. */
static void
an_index_is_published_on_another_file_system(void **state)
{
    struct fixture *f = *state;
    char name[] = "/dev/shm/registry-test-XXXXXX";
    struct digest layer;
    struct layer_info info;
    struct err ignored;
    struct stat here, there;
    struct index_store below;
    int fd, root;

    if (stat("/dev/shm", &there) != 0 || stat(".", &here) != 0 || here.st_dev == there.st_dev ||
        mkdtemp(name) == NULL)
        skip();
    root = open(name, O_RDONLY | O_DIRECTORY);
    below = (struct index_store){.root = f->reg.dirfd, .dir = root};
    fd = scanned(f, &layer);
    assert_int_equal(index_file_publish(root, fd, &layer, &ignored), -1); /* there is no tmp/ */
    assert_int_equal(mkdirat(root, "tmp", 0700), 0);
    OK(f, index_file_publish(root, fd, &layer, &f->err));
    OK(f, index_file_publish(root, fd, &layer, &f->err));
    fdio_close(fd);
    assert_int_equal(index_store_info(below, &layer, &info, &f->err), 1);
    assert_true(info.browsable);
    assert_int_equal(index_store_examine(below, &layer, &f->err), 1);
    assert_int_equal(unlinkat(root, "tmp", AT_REMOVEDIR), 0); /* it is empty */
    assert_false(is_there(&layer));
    fdio_remove_tree(root, "index", &ignored);
    fdio_close(root);
    assert_int_equal(rmdir(name), 0);
}

/* Gives the file the header of that format, or only its version. */
static void
set_version(const struct digest *layer, uint32_t version, bool with_checksum)
{
    char path[INDEX_FILE_PATH_MAX];
    uint8_t head[SORTED_FORMAT_HEADER];
    int fd;

    index_file_path(path, layer);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, head, sizeof head, 0), sizeof head);
    pack_uint_at(head + SORTED_FORMAT_VERSION_END - 4, version, 4);
    if (with_checksum)
        pack_uint_at(head + sizeof head - 4, crc32(0, head, sizeof head - 4), 4);
    assert_int_equal(pwrite(fd, head, sizeof head, 0), sizeof head);
    fdio_close(fd);
}

static int
examines(struct fixture *f, const struct digest *layer)
{
    return index_store_examine(in_data_directory(f), layer, &f->err);
}

/* As during an upgrade of one node after the other. */
static void
one_of_a_newer_format_stays_and_counts_as_missing(void **state)
{
    struct fixture *f = *state;
    struct digest layer = published(f);

    set_version(&layer, SORTED_FORMAT_VERSION + 1, true);
    assert_int_equal(opens(f, &layer), 0);
    OK(f, index_store_mend(in_data_directory(f), &layer, &f->err));
    assert_true(is_there(&layer));
    assert_int_equal(examines(f, &layer), 1);
    /* and isn't made again */
    assert_int_equal(index_store_look(in_data_directory(f), &layer, true, &f->err), 1);
    set_version(&layer, SORTED_FORMAT_VERSION, true);
    assert_int_equal(opens(f, &layer), 1);

    set_version(&layer, SORTED_FORMAT_VERSION - 1, true);
    assert_int_equal(opens(f, &layer), 0);
    assert_false(is_there(&layer));
    assert_int_equal(index_store_look(in_data_directory(f), &layer, true, &f->err), 0);

    layer = published(f);
    set_version(&layer, SORTED_FORMAT_VERSION + 1, false); /* a flipped bit */
    assert_int_equal(opens(f, &layer), 0);
    assert_false(is_there(&layer));
}

static void
one_with_newer_contents_stays(void **state)
{
    struct fixture *f = *state;
    struct digest layer = fixture_digest("x");
    int fd = index_file_create(f->reg.dirfd, &f->err);
    struct sorted_writer *w = sorted_writer_new(fd);
    struct buf value;

    buf_init(&value, 100);
    pack_number(&value, LAYER_INDEX_VERSION + 1);
    pack_number(&value, 17); /* whatever it has there */
    OK(f, sorted_writer_put(w, bytes_str("I"), buf_bytes(&value), &f->err));
    OK(f, sorted_writer_finish(w, &f->err));
    sorted_writer_free(w);
    buf_free(&value);
    OK(f, index_file_publish(f->reg.dirfd, fd, &layer, &f->err));
    fdio_close(fd);
    assert_int_equal(opens(f, &layer), 0);
    assert_true(is_there(&layer));
    assert_int_equal(examines(f, &layer), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(an_index_is_found_by_its_layer),
        TEST(without_the_directory_there_is_none),
        TEST(all_of_them_may_go_while_one_is_made),
        TEST(one_that_is_given_up_leaves_nothing),
        TEST(the_one_that_is_there_stays),
        TEST(what_is_damaged_goes),
        TEST(one_of_a_newer_format_stays_and_counts_as_missing),
        TEST(one_with_newer_contents_stays),
        TEST(a_refusal_is_an_index_too),
        TEST(a_sweep_sees_each),
        TEST(an_index_is_published_on_another_file_system),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
