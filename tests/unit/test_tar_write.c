/* A tar that was written is read again by libarchive (tar_scan), and by tar if that is
 * installed. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/layers/tar_write.h"
#include "util/fdio.h"

#define MAX ((size_t)1 << 24)

/* A tar in pieces: data of huge files are not there, but passed over. */
struct source {
    struct bytes tar;
    uint64_t hole_at, hole; /* zeroes that aren't in the tar: their place, and their number */
    uint64_t at;
};

static int
pull(void *arg, struct bytes *out, struct err *err)
{
    struct source *s = arg;
    (void)err;
    if (s->at >= s->tar.n)
        return 0;
    size_t n = s->hole > 0 && s->at < s->hole_at ? s->hole_at - s->at : s->tar.n - s->at;
    *out = bytes_of((const char *)s->tar.p + s->at, n);
    s->at += n;
    return 1;
}

static uint64_t
skip_hole(void *arg, uint64_t n)
{
    struct source *s = arg;
    if (s->hole == 0 || s->at != s->hole_at || n < s->hole)
        return 0;
    n = s->hole;
    s->hole = 0;
    return n;
}

struct expected {
    const struct tar_entry *entries;
    size_t n, at;
};

static int
expect(void *arg, const struct tar_entry *got, struct err *err)
{
    struct expected *x = arg;
    const struct tar_entry *want = &x->entries[x->at];
    (void)err;
    assert_true(x->at < x->n);
    size_t slash = want->type == LAYER_DIR && ((const char *)want->path.p)[want->path.n - 1] != '/';
    assert_int_equal(got->path.n, want->path.n + slash);
    assert_memory_equal(got->path.p, want->path.p, want->path.n);
    assert_int_equal(got->link.n, want->link.n);
    if (want->link.n > 0)
        assert_memory_equal(got->link.p, want->link.p, want->link.n);
    assert_int_equal(got->hard_link, want->hard_link);
    if (!want->hard_link)
        assert_int_equal(got->type, want->type);
    assert_int_equal(got->mode, want->mode);
    assert_int_equal(got->uid, want->uid);
    assert_int_equal(got->gid, want->gid);
    assert_int_equal(got->mtime, want->mtime);
    assert_int_equal(got->nanos, want->nanos);
    assert_int_equal(got->size, want->size);
    assert_int_equal(got->major, want->major);
    assert_int_equal(got->minor, want->minor);
    x->at++;
    return 0;
}

static void
expect_back(const struct tar_entry *entries, size_t n, uint64_t hole)
{
    struct source s = {.hole = hole};
    struct expected x = {.entries = entries, .n = n};
    const struct tar_source source = {.pull = pull, .skip = skip_hole, .arg = &s};
    char why[LAYER_INDEX_TEXT_MAX];
    enum tar_end end;
    struct err err;
    struct buf tar;

    buf_init(&tar, MAX);
    for (size_t i = 0; i < n; i++) {
        size_t before = tar.n;
        tar_write_header(&tar, &entries[i]);
        assert_true(buf_ok(&tar));
        assert_int_equal((tar.n - before) % 512, 0);
        assert_true(tar.n - before <= TAR_WRITE_HEADER_MAX);
        s.hole_at = hole > 0 ? tar.n : 0;
    }
    tar_write_end(&tar);
    s.tar = buf_bytes(&tar);
    assert_int_equal(tar_scan(&source, expect, &x, &end, why, &err), 0);
    if (end != TAR_WHOLE)
        fail_msg("%s", why);
    assert_int_equal(x.at, n);
    buf_free(&tar);
}

static void
every_kind_of_entry(void **state)
{
    const struct tar_entry entries[] = {
        {.path = bytes_str("d"), .type = LAYER_DIR, .mode = 01777},
        {.path = bytes_str("d/f"),
         .type = LAYER_FILE,
         .mode = 04755,
         .uid = 7,
         .gid = 8,
         .mtime = 1234567890},
        {.path = bytes_str("d/s"), .link = bytes_str("../f"), .type = LAYER_SYMLINK, .mode = 0777},
        {.path = bytes_str("d/h"),
         .link = bytes_str("d/f"),
         .hard_link = true,
         .type = LAYER_FILE,
         .mode = 04755},
        {.path = bytes_str("c"), .type = LAYER_CHAR, .mode = 0600, .major = 5, .minor = 1},
        {.path = bytes_str("b"), .type = LAYER_BLOCK, .mode = 0600, .major = 8, .minor = 300},
        {.path = bytes_str("p"), .type = LAYER_FIFO, .mode = 0644},
        {.path = bytes_str("\xff\x01"), .type = LAYER_FILE},
    };
    (void)state;
    expect_back(entries, sizeof entries / sizeof *entries, 0);
}

static void
names_of_all_lengths(void **state)
{
    static char name[2][LAYER_PATH_MAX];
    (void)state;
    for (size_t n = 90; n <= LAYER_PATH_MAX; n = n < 110 ? n + 1 : n * 2 + 5) {
        for (size_t i = 0; i < 2; i++) /* the second isn't UTF-8 */
            for (size_t at = 0; at < n; at++)
                name[i][at] = at % 50 == 49 ? '/' : i == 0 ? 'a' : '\xe9';
        name[0][n - 1] = name[1][n - 1] = 'z';
        for (size_t i = 0; i < 2; i++) {
            const struct tar_entry entries[] = {
                {.path = bytes_of(name[i], n - 1), .type = LAYER_DIR, .mode = 0755},
                {.path = bytes_of(name[i], n), .type = LAYER_FILE, .mode = 0644},
                {.path = bytes_str("s"), .link = bytes_of(name[i], n), .type = LAYER_SYMLINK},
                {.path = bytes_of(name[i], n),
                 .link = bytes_of(name[1 - i], n),
                 .type = LAYER_FILE,
                 .hard_link = true},
            };
            expect_back(entries, sizeof entries / sizeof *entries, 0);
        }
    }
}

static void
large_numbers(void **state)
{
    const struct tar_entry entries[] = {
        {.path = bytes_str("a"), .type = LAYER_FILE, .uid = 2097151, .gid = 2097152},
        {.path = bytes_str("b"), .type = LAYER_FILE, .uid = 4294967294, .gid = 4294967294},
        {.path = bytes_str("c"), .type = LAYER_CHAR, .major = 2097152, .minor = 3000000},
    };
    (void)state;
    expect_back(entries, sizeof entries / sizeof *entries, 0);
}

static void
times_before_1970_and_far_from_it(void **state)
{
    const struct tar_entry entries[] = {
        {.path = bytes_str("a"), .type = LAYER_FILE, .mtime = -1},
        {.path = bytes_str("d"), .type = LAYER_FILE, .mtime = 5, .nanos = 999999999},
        {.path = bytes_str("e"), .type = LAYER_FILE, .mtime = 8589934591},
        {.path = bytes_str("f"), .type = LAYER_FILE, .mtime = 8589934592},
        {.path = bytes_str("g"), .type = LAYER_FILE, .mtime = 0},
    };
    (void)state;
    expect_back(entries, sizeof entries / sizeof *entries, 0);
}

static void
a_file_of_more_than_8_gib(void **state)
{
    static const uint64_t sizes[] = {8589934591, 8589934592, UINT64_C(1) << 40};
    (void)state;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        const struct tar_entry entry = {
            .path = bytes_str("large"), .type = LAYER_FILE, .size = sizes[i]};
        expect_back(&entry, 1, sizes[i] + tar_write_padding(sizes[i]));
    }
}

static void
padding_fills_a_block(void **state)
{
    (void)state;
    assert_int_equal(tar_write_padding(0), 0);
    assert_int_equal(tar_write_padding(1), 511);
    assert_int_equal(tar_write_padding(511), 1);
    assert_int_equal(tar_write_padding(512), 0);
    assert_int_equal(tar_write_padding(513), 511);
}

/* The status of a shell command on the file $0; -1: there is no tar. */
static int
ask_tar(const char *file, const char *command)
{
    int status;
    if (access("/usr/bin/tar", X_OK) != 0 && access("/bin/tar", X_OK) != 0)
        return -1;
    pid_t pid = fork();
    if (pid == 0) {
        execl("/bin/sh", "sh", "-ec", command, file, (char *)NULL);
        _exit(127);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
tar_itself_reads_it(void **state)
{
    char file[] = "/tmp/test_tar_write.XXXXXX";
    const struct tar_entry entries[] = {
        {.path = bytes_str("d"), .type = LAYER_DIR, .mode = 0755},
        {.path = bytes_str("d/f"), .type = LAYER_FILE, .mode = 0644, .size = 5},
    };
    struct err err;
    struct buf tar;
    int fd = mkstemp(file);
    (void)state;
    assert_true(fd >= 0);
    buf_init(&tar, MAX);
    tar_write_header(&tar, &entries[0]);
    tar_write_header(&tar, &entries[1]);
    buf_puts(&tar, "hello");
    memset(buf_extend(&tar, tar_write_padding(5)), 0, tar_write_padding(5));
    tar_write_end(&tar);
    assert_int_equal(fdio_write_all(fd, tar.p, tar.n, file, &err), 0);
    close(fd);
    buf_free(&tar);
    int status = ask_tar(file, "test \"$(tar -xOf $0 d/f)\" = hello; "
                               "test \"$(tar -tf $0)\" = \"$(echo d/; echo d/f)\"");
    unlink(file);
    if (status < 0)
        skip();
    assert_int_equal(status, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind_of_entry),
        cmocka_unit_test(names_of_all_lengths),
        cmocka_unit_test(large_numbers),
        cmocka_unit_test(times_before_1970_and_far_from_it),
        cmocka_unit_test(a_file_of_more_than_8_gib),
        cmocka_unit_test(padding_fills_a_block),
        cmocka_unit_test(tar_itself_reads_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
