#include "store_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/blob_file.h"
#include "util/fdio.h"

static struct digest
write_blob(struct fixture *f, enum digest_algo algo, const char *text, uint64_t *instance)
{
    struct digest d;

    digest_of(&d, algo, bytes_str(text));
    OK(f, blob_file_write(f->reg.blobs, bytes_str(text), &d, instance, &f->err));
    return d;
}

static void
expect_content(struct fixture *f, const struct digest *d, uint64_t instance, const char *text)
{
    char path[BLOB_FILE_PATH_MAX], whole[BLOB_FILE_PATH_MAX + 8];
    struct buf b;

    blob_file_path(path, d, instance);
    snprintf(whole, sizeof whole, "layers/%s", path);
    b = fixture_read(f, whole);
    assert_string_equal(buf_text(&b), text);
    buf_free(&b);
}

static void
a_blob_file_is_named_by_its_digest_and_instance(void **state)
{
    struct digest d = {.algo = DIGEST_SHA256, .bytes = {0xab, 0xcd}};
    char path[BLOB_FILE_PATH_MAX];

    (void)state;
    blob_file_path(path, &d, 0x12);
    assert_string_equal(path, "sha256/ab/"
                              "abcd000000000000000000000000000000000000000000000000000000000000"
                              ".0000000000000012");
    d.algo = DIGEST_SHA512;
    blob_file_path(path, &d, UINT64_MAX);
    assert_int_equal(strncmp(path, "sha512/ab/abcd00", 16), 0);
    assert_int_equal(strlen(path), 10 + 128 + 17);
    assert_string_equal(path + 10 + 128, ".ffffffffffffffff");
}

static void
what_was_published_can_be_read_and_no_longer_written(void **state)
{
    struct fixture *f = *state;
    uint64_t instance;
    char text[20];
    struct stat st;

    for (enum digest_algo algo = DIGEST_SHA256; algo <= DIGEST_SHA512; algo++) {
        struct digest d = write_blob(f, algo, "hello", &instance);
        int fd = blob_file_open(f->reg.blobs, &d, instance, &f->err);

        assert_true(fd >= 0);
        assert_int_equal(fstat(fd, &st), 0);
        assert_int_equal(st.st_mode, S_IFREG | 0440);
        assert_int_equal(st.st_nlink, 1);
        assert_int_equal(read(fd, text, sizeof text), 5);
        assert_memory_equal(text, "hello", 5);
        assert_int_equal(write(fd, "x", 1), -1);
        fdio_close(fd);
        expect_content(f, &d, instance, "hello");
    }
    assert_int_equal(fixture_layer_files(f), 2);
    assert_int_equal(fixture_entries(f, "uploads"), 1); /* body/ */
}

static void
a_named_file_keeps_its_name_and_loses_its_write_permission(void **state)
{
    struct fixture *f = *state;
    const char *name = fixture_body(f, bytes_str("layer"));
    struct digest d = fixture_digest("layer");
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    uint64_t instance;
    struct stat st;

    OK(f, blob_file_publish(f->reg.blobs, fd, &d, &instance, &f->err));
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0440);
    assert_int_equal(st.st_nlink, 2);
    fdio_close(fd);
    assert_int_equal(unlink(name), 0);
    expect_content(f, &d, instance, "layer");
}

static void
it_is_the_open_file_that_is_published_not_its_name(void **state)
{
    struct fixture *f = *state;
    const char *name = fixture_body(f, bytes_str("hashed"));
    struct digest d = fixture_digest("hashed");
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    char kept[300];
    uint64_t instance;

    snprintf(kept, sizeof kept, "%s.kept", name);
    assert_int_equal(rename(name, kept), 0);
    assert_int_equal(symlink("/etc/passwd", name), 0);
    OK(f, blob_file_publish(f->reg.blobs, fd, &d, &instance, &f->err));
    fdio_close(fd);
    expect_content(f, &d, instance, "hashed");
}

static void
publishing_twice_makes_two_files(void **state)
{
    struct fixture *f = *state;
    uint64_t one, two;
    struct digest d = write_blob(f, DIGEST_SHA256, "twice", &one);

    write_blob(f, DIGEST_SHA256, "twice", &two);
    assert_true(one != two);
    assert_int_equal(fixture_layer_files(f), 2);
    OK(f, blob_file_unlink(f->reg.blobs, &d, one, &f->err));
    assert_int_equal(fixture_layer_files(f), 1);
    expect_content(f, &d, two, "twice");
}

static void
what_was_removed_cannot_be_opened_and_is_removed_only_once(void **state)
{
    struct fixture *f = *state;
    uint64_t instance;
    struct digest d = write_blob(f, DIGEST_SHA256, "gone", &instance);
    int open_fd = blob_file_open(f->reg.blobs, &d, instance, &f->err);
    char text[4];

    OK(f, blob_file_unlink(f->reg.blobs, &d, instance, &f->err));
    assert_int_equal(blob_file_open(f->reg.blobs, &d, instance, &f->err), -1);
    assert_int_equal(f->err.sys, ENOENT);
    OK(f, blob_file_unlink(f->reg.blobs, &d, instance, &f->err));
    assert_int_equal(read(open_fd, text, 4), 4); /* a download that is under way goes on */
    assert_memory_equal(text, "gone", 4);
    fdio_close(open_fd);
}

static void
a_failure_to_publish_leaves_no_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("x");
    uint64_t instance;

    assert_int_equal(rename("layers", "moved"), 0);
    REFUSED(f, blob_file_write(f->reg.blobs, bytes_str("x"), &d, &instance, &f->err), ERR_SYSTEM);
    assert_int_equal(f->err.sys, ENOENT);
    assert_int_equal(fixture_entries(f, "uploads"), 1);
    assert_int_equal(rmdir("uploads/body/0/00"), 0);
    assert_int_equal(rmdir("uploads/body/0"), 0);
    assert_int_equal(rmdir("uploads/body"), 0);
    assert_int_equal(rmdir("uploads"), 0);
    REFUSED(f, blob_file_write(f->reg.blobs, bytes_str("x"), &d, &instance, &f->err), ERR_SYSTEM);
}

static void
a_symbolic_link_is_not_opened(void **state)
{
    struct fixture *f = *state;
    uint64_t instance;
    struct digest d = write_blob(f, DIGEST_SHA256, "a", &instance);
    char path[BLOB_FILE_PATH_MAX], whole[BLOB_FILE_PATH_MAX + 8];

    blob_file_path(path, &d, instance);
    snprintf(whole, sizeof whole, "layers/%s", path);
    assert_int_equal(unlink(whole), 0);
    assert_int_equal(symlink("/etc/passwd", whole), 0);
    assert_int_equal(blob_file_open(f->reg.blobs, &d, instance, &f->err), -1);
    assert_int_equal(f->err.sys, ELOOP);
}

/* ---- the sweep ---- */

struct seen {
    struct digest d;
    uint64_t instance;
    uint64_t age_s;
    int n;
    int rc;
};

static int
see(const struct digest *d, uint64_t instance, uint64_t age_s, void *arg, struct err *err)
{
    struct seen *s = arg;

    s->d = *d;
    s->instance = instance;
    s->age_s = age_s;
    s->n++;
    return s->rc < 0 ? err_set(err, ERR_DENIED, "enough") : s->rc;
}

static void
a_sweep_sees_each_file_and_its_age(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.n = 0};
    uint64_t instance;
    struct digest d = write_blob(f, DIGEST_SHA256, "swept", &instance);
    struct digest e = write_blob(f, DIGEST_SHA512, "swept", &instance);

    for (unsigned i = 0; i < DIGEST_DIRECTORIES; i++) {
        int before = s.n;

        OK(f, blob_file_each(f->reg.blobs, i, see, &s, &f->err));
        if (s.n > before && i < 256) {
            assert_int_equal(i, d.bytes[0]);
            assert_true(digest_equal(&s.d, &d));
        } else if (s.n > before) {
            assert_int_equal(i, 256u + e.bytes[0]);
            assert_true(digest_equal(&s.d, &e));
            assert_int_equal(s.instance, instance);
        }
    }
    assert_int_equal(s.n, 2);
    assert_in_range(s.age_s, 0, 60);
    fixture_forward_ms(3600000);
    OK(f, blob_file_each(f->reg.blobs, d.bytes[0], see, &s, &f->err));
    assert_in_range(s.age_s, 3600, 3660);
}

/* A file that has waited long for its upload's end is as old as its publishing. */
static void
publishing_makes_a_file_young_again(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("old");
    struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    int fd = open(fixture_body(f, bytes_str("old")), O_RDONLY | O_CLOEXEC);
    struct seen s = {.n = 0};
    uint64_t instance;

    assert_int_equal(futimens(fd, old), 0);
    OK(f, blob_file_publish(f->reg.blobs, fd, &d, &instance, &f->err));
    fdio_close(fd);
    OK(f, blob_file_each(f->reg.blobs, d.bytes[0], see, &s, &f->err));
    assert_int_equal(s.n, 1);
    assert_in_range(s.age_s, 0, 60);
}

static void
a_sweep_passes_over_what_is_no_blob_file(void **state)
{
    static const char *const odd[] = {
        "x",
        "ab",
        "ab00000000000000000000000000000000000000000000000000000000000000",
        "AB00000000000000000000000000000000000000000000000000000000000000.0000000000000001",
        "ab00000000000000000000000000000000000000000000000000000000000000.000000000000000g",
        "ab00000000000000000000000000000000000000000000000000000000000000-0000000000000001",
        "ab00000000000000000000000000000000000000000000000000000000000000.00000000000000011",
    };
    struct fixture *f = *state;
    struct seen s = {.n = 0};
    char path[200];

    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        snprintf(path, sizeof path, "layers/sha256/ab/%s", odd[i]);
        fdio_close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    }
    OK(f, blob_file_each(f->reg.blobs, 0xab, see, &s, &f->err));
    assert_int_equal(s.n, 0);
}

static void
a_sweep_ends_where_its_visitor_says_so(void **state)
{
    struct fixture *f = *state;
    struct seen s = {.rc = 1};
    uint64_t instance;
    struct digest d = write_blob(f, DIGEST_SHA256, "a", &instance);

    write_blob(f, DIGEST_SHA256, "a", &instance);
    OK(f, blob_file_each(f->reg.blobs, d.bytes[0], see, &s, &f->err));
    assert_int_equal(s.n, 1);
    s.rc = -1;
    REFUSED(f, blob_file_each(f->reg.blobs, d.bytes[0], see, &s, &f->err), ERR_DENIED);
}

/* ---- in a directory of its own, on another file system ---- */

static char outside[] = "/dev/shm/test_blob_file.XXXXXX";

static int
fixture_outside(void **state)
{
    struct fixture *f;

    if (fixture_files(state) != 0)
        return -1;
    f = *state;
    memcpy(strrchr(outside, '.'), ".XXXXXX", 7);
    if (mkdtemp(outside) == NULL)
        return -1;
    return blob_store_open(&f->blobs, f->reg.dirfd, outside, false, &f->err) == 0
               ? blob_file_prepare(&f->blobs, &f->err)
               : -1;
}

static int
fixture_outside_done(void **state)
{
    struct fixture *f = *state;

    blob_store_close(&f->blobs);
    return fdio_remove_tree(AT_FDCWD, outside, &f->err) == 0 ? fixture_done(state) : -1;
}

static void
expect_outside(struct fixture *f, const struct digest *d, uint64_t instance, const char *text)
{
    int fd = blob_file_open(f->reg.blobs, d, instance, &f->err);
    char path[BLOB_FILE_PATH_MAX], whole[BLOB_FILE_PATH_MAX + sizeof outside + 1], got[20];
    struct stat st;

    assert_true(fd >= 0);
    assert_int_equal(read(fd, got, sizeof got), strlen(text));
    assert_memory_equal(got, text, strlen(text));
    fdio_close(fd);
    blob_file_path(path, d, instance);
    snprintf(whole, sizeof whole, "%s/%s", outside, path);
    assert_int_equal(stat(whole, &st), 0);
    assert_int_equal(st.st_mode, S_IFREG | 0440);
}

static void
expect_nothing_unfinished(void)
{
    char name[sizeof outside + 8];
    int fd;

    snprintf(name, sizeof name, "%s/tmp", outside);
    fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(fdio_is_empty(fd), 1);
    fdio_close(fd);
}

static void
outside_a_copy_is_published_and_the_file_stays_as_it_is(void **state)
{
    struct fixture *f = *state;
    const char *name = fixture_body(f, bytes_str("layer"));
    struct digest d = fixture_digest("layer");
    int fd = open(name, O_RDONLY | O_CLOEXEC);
    uint64_t instance, bytes;
    struct seen s = {.n = 0};
    struct stat st;

    OK(f, blob_file_publish(f->reg.blobs, fd, &d, &instance, &f->err));
    fdio_close(fd);
    assert_int_equal(stat(name, &st), 0);
    assert_int_equal(st.st_nlink, 1);
    expect_outside(f, &d, instance, "layer");
    assert_true(blob_file_size(f->reg.blobs, &d, instance, &bytes));
    assert_int_equal(bytes, 5);
    assert_int_equal(fixture_layer_files(f), 1);
    OK(f, blob_file_each(f->reg.blobs, d.bytes[0], see, &s, &f->err));
    assert_int_equal(s.n, 1);
    OK(f, blob_file_unlink(f->reg.blobs, &d, instance, &f->err));
    assert_false(blob_file_size(f->reg.blobs, &d, instance, &bytes));
    d = write_blob(f, DIGEST_SHA512, "bytes", &instance);
    expect_outside(f, &d, instance, "bytes");
    expect_nothing_unfinished();
}

static void
outside_nothing_is_linked(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("layer");
    uint64_t instance;
    struct stat st;

    assert_int_equal(stat(outside, &st), 0);
    assert_false(blob_file_is_linkable(f->reg.blobs, st.st_dev));
    assert_int_equal(blob_file_adopt(f->reg.blobs, -1, &d, NULL, &instance, &f->err), 0);
}

static void
outside_a_restore_replaces_a_file(void **state)
{
    struct fixture *f = *state;
    uint64_t instance;
    struct digest d = write_blob(f, DIGEST_SHA256, "bad", &instance);
    int fd = open(fixture_body(f, bytes_str("good")), O_RDONLY | O_CLOEXEC);

    OK(f, blob_file_put_back(f->reg.blobs, fd, &d, instance, &f->err));
    fdio_close(fd);
    expect_outside(f, &d, instance, "good");
    assert_int_equal(fixture_layer_files(f), 1);
}

static void
outside_a_failure_to_publish_leaves_no_file(void **state)
{
    struct fixture *f = *state;
    struct digest d = fixture_digest("x");
    char name[sizeof outside + 8];
    uint64_t instance;

    snprintf(name, sizeof name, "%s/sha256", outside);
    OK(f, fdio_remove_tree(AT_FDCWD, name, &f->err));
    REFUSED(f, blob_file_write(f->reg.blobs, bytes_str("x"), &d, &instance, &f->err), ERR_SYSTEM);
    expect_nothing_unfinished();
    REFUSED(f, blob_store_check(f->reg.blobs, &f->err), ERR_SYSTEM);
}

static void
outside_what_a_crash_has_left_goes_after_a_day(void **state)
{
    struct fixture *f = *state;
    char name[sizeof outside + 8];

    snprintf(name, sizeof name, "%s/tmp/x", outside);
    fdio_close(open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    fixture_forward_ms(23 * 3600 * UINT64_C(1000));
    OK(f, blob_file_sweep_unfinished(f->reg.blobs, &f->err));
    assert_int_equal(access(name, F_OK), 0);
    fixture_forward_ms(2 * 3600 * UINT64_C(1000));
    OK(f, blob_file_sweep_unfinished(f->reg.blobs, &f->err));
    assert_int_equal(access(name, F_OK), -1);
}

static void
outside_another_clock_is_refused(void **state)
{
    struct fixture *f = *state;

    fixture_forward_ms(200 * 1000);
    OK(f, blob_file_prepare(f->reg.blobs, &f->err));
    fixture_forward_ms(200 * 1000);
    REFUSED(f, blob_file_prepare(f->reg.blobs, &f->err), ERR_UNSUPPORTED);
    expect_nothing_unfinished();
}

int
main(void)
{
#define OUTSIDE(t) cmocka_unit_test_setup_teardown(t, fixture_outside, fixture_outside_done)
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_files, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(a_blob_file_is_named_by_its_digest_and_instance),
        TEST(what_was_published_can_be_read_and_no_longer_written),
        TEST(a_named_file_keeps_its_name_and_loses_its_write_permission),
        TEST(it_is_the_open_file_that_is_published_not_its_name),
        TEST(publishing_twice_makes_two_files),
        TEST(what_was_removed_cannot_be_opened_and_is_removed_only_once),
        TEST(a_failure_to_publish_leaves_no_file),
        TEST(a_symbolic_link_is_not_opened),
        TEST(a_sweep_sees_each_file_and_its_age),
        TEST(publishing_makes_a_file_young_again),
        TEST(a_sweep_passes_over_what_is_no_blob_file),
        TEST(a_sweep_ends_where_its_visitor_says_so),
        OUTSIDE(outside_a_copy_is_published_and_the_file_stays_as_it_is),
        OUTSIDE(outside_nothing_is_linked),
        OUTSIDE(outside_a_restore_replaces_a_file),
        OUTSIDE(outside_a_failure_to_publish_leaves_no_file),
        OUTSIDE(outside_what_a_crash_has_left_goes_after_a_day),
        OUTSIDE(outside_another_clock_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
