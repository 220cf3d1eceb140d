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
#include "storage/layers/tar_files.h"
#include "util/buf.h"
#include "util/fdio.h"

static struct err err;

/* An entry's header and data. */
static void
put(struct buf *tar, char type, const char *name, const char *link, const char *data)
{
    unsigned char h[512] = {0};
    unsigned sum = 0;

    snprintf((char *)h, 100, "%s", name);
    memcpy(h + 100, "0000644", 7);
    memcpy(h + 108, "0000000", 7);
    memcpy(h + 116, "0000000", 7);
    snprintf((char *)h + 124, 12, "%011o", (unsigned)strlen(data));
    memcpy(h + 136, "00000000000", 11);
    memset(h + 148, ' ', 8);
    h[156] = (unsigned char)type;
    snprintf((char *)h + 157, 100, "%s", link);
    memcpy(h + 257,
           "ustar\0"
           "00",
           8);
    for (size_t i = 0; i < sizeof h; i++)
        sum += h[i];
    snprintf((char *)h + 148, 8, "%06o", sum);
    buf_put(tar, h, sizeof h);
    buf_put(tar, data, strlen(data));
    while (tar->n % 512 != 0)
        buf_putc(tar, '\0');
}

static struct tar_files *
open_tar(const struct buf *tar, int *fd)
{
    *fd = memfd_create("tar", MFD_CLOEXEC);
    assert_true(*fd >= 0);
    assert_int_equal(fdio_write_all(*fd, tar->p, tar->n, "tar", &err), 0);
    return tar_files_open(*fd, &err);
}

/* The file of that name has these bytes; NULL: there is none. */
static void
check_found(const struct tar_files *t, int fd, const char *name, const char *want, int found)
{
    uint64_t at, size;
    char got[64] = "";
    int rc = tar_files_find(t, name, &at, &size);

    assert_int_equal(rc, found);
    if (want == NULL)
        return;
    assert_true(size < sizeof got);
    assert_int_equal(pread(fd, got, (size_t)size, (off_t)at), size);
    assert_string_equal(got, want);
}

static void
check(const struct tar_files *t, int fd, const char *name, const char *want)
{
    check_found(t, fd, name, want, want != NULL);
}

static void
test_names(void **state)
{
    struct buf tar;
    struct tar_files *t;
    int fd;

    (void)state;
    buf_init(&tar, 1 << 20);
    put(&tar, '5', "./dir/", "", "");
    put(&tar, '0', "./dir/one", "", "1");
    put(&tar, '\0', "dir//two", "", "22");
    put(&tar, '0', "/absolute", "", "at the top");
    put(&tar, '0', "a/../b", "", "b");
    put(&tar, '0', "../out", "", "out");
    put(&tar, '0', "same", "", "first");
    put(&tar, '0', "same", "", "last");
    put(&tar, '3', "device", "", "");
    t = open_tar(&tar, &fd);
    assert_non_null(t);
    check(t, fd, "dir/one", "1");
    check(t, fd, "dir/two", "22");
    check(t, fd, "absolute", "at the top");
    check(t, fd, "b", "b");
    check_found(t, fd, "same", "last", 2);
    assert_string_equal(tar_files_name(t, 0), "absolute");
    assert_string_equal(tar_files_name(t, 5), "same");
    assert_null(tar_files_name(t, 6));
    check(t, fd, "out", NULL);
    check(t, fd, "../out", NULL);
    check(t, fd, "device", NULL);
    check(t, fd, "dir", NULL);
    check(t, fd, "", NULL);
    tar_files_close(t);
    close(fd);
    buf_free(&tar);
}

static void
test_links(void **state)
{
    struct buf tar;
    struct tar_files *t;
    int fd;

    (void)state;
    buf_init(&tar, 1 << 20);
    put(&tar, '2', "b/layer.tar", "../a/layer.tar", "");
    put(&tar, '0', "a/layer.tar", "", "layer");
    put(&tar, '1', "hard", "a/layer.tar", "");
    put(&tar, '2', "twice", "b/layer.tar", "");
    put(&tar, '2', "absolute", "/a/layer.tar", "");
    put(&tar, '2', "out", "../a/layer.tar", "");
    put(&tar, '2', "loop", "loop", "");
    put(&tar, '2', "x/y", "../y/x", "");
    put(&tar, '2', "y/x", "../x/y", "");
    put(&tar, '2', "nowhere", "none", "");
    t = open_tar(&tar, &fd);
    assert_non_null(t);
    check(t, fd, "b/layer.tar", "layer");
    check(t, fd, "hard", "layer");
    check(t, fd, "twice", "layer");
    check(t, fd, "absolute", NULL);
    check(t, fd, "out", NULL);
    check(t, fd, "loop", NULL);
    check(t, fd, "x/y", NULL);
    check(t, fd, "nowhere", NULL);
    tar_files_close(t);
    close(fd);
    buf_free(&tar);
}

static void
refuse(const struct buf *tar, size_t n)
{
    struct buf cut = *tar;
    int fd;

    cut.n = n;
    assert_null(open_tar(&cut, &fd));
    assert_int_equal(err.code, ERR_BAD_IMAGE);
    close(fd);
}

static void
test_damage(void **state)
{
    struct buf tar;

    (void)state;
    buf_init(&tar, 1 << 20);
    put(&tar, '0', "one", "", "some bytes");
    put(&tar, '0', "two", "", "more bytes");
    refuse(&tar, 0);
    refuse(&tar, 100);
    refuse(&tar, 512);
    refuse(&tar, 1024 + 512 + 3);
    tar.p[1030] ^= 1;
    refuse(&tar, tar.n);
    buf_free(&tar);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_links),
        cmocka_unit_test(test_damage),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
