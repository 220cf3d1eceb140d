#include "store_fixture.h"
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/files/body_ahead.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/mem.h"

#define MIB ((size_t)1 << 20)
#define NAME BODY_AHEAD_DIRECTORY "/0000000001"
#define WAIT_MS 20000

/* Bytes that differ from place to place. */
static unsigned char *
some_bytes(size_t n, unsigned seed)
{
    unsigned char *p = mem_alloc(n);

    for (size_t i = 0; i < n; i++) {
        seed = seed * 1103515245 + 12345;
        p[i] = (unsigned char)(seed >> 16);
    }
    return p;
}

static int
new_body(void)
{
    int fd;

    mkdir(BODY_AHEAD_DIRECTORY, 0700);
    fd = open(NAME, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    return fd;
}

static void
append_bytes(struct fixture *f, int fd, const unsigned char *p, size_t n)
{
    assert_true(lseek(fd, 0, SEEK_END) >= 0);
    OK(f, fdio_write_all(fd, p, n, NAME, &f->err));
}

/* The digest of the file, with what was hashed ahead, is that of these bytes. */
static void
assert_continues(struct fixture *f, int fd, const struct digest_begun *begun,
                 const unsigned char *p, size_t n)
{
    struct digest whole, d;
    uint64_t size;

    digest_of(&whole, DIGEST_SHA256, bytes_of(p, n));
    OK(f, digest_of_fd_begun(&d, begun, fd, &size, &f->err));
    assert_int_equal(size, n);
    assert_true(digest_equal(&d, &whole));
}

/* Takes again and again until `least` bytes were hashed; what is taken is forgotten, and hashed
 * anew. */
static void
take_when_hashed(const struct body_ahead *a, int fd, uint64_t least, struct digest_begun *begun)
{
    uint64_t end = clock_mono_ms() + WAIT_MS;

    do {
        body_ahead_announce(a);
        clock_sleep_ms(300);
    } while ((!body_ahead_take(a, fd, begun) || begun->size < least) && clock_mono_ms() < end);
    assert_true(begun->size >= least);
}

static void
a_large_body_is_hashed_while_it_grows(void **state)
{
    struct fixture *f = *state;
    size_t n = 20 * MIB;
    unsigned char *p = some_bytes(n, 1);
    struct digest_begun begun;
    struct body_ahead a;
    int fd = new_body();

    OK(f, body_ahead_make(&a, &f->err));
    body_ahead_follow(&a, f->reg.dirfd);
    append_bytes(f, fd, p, 9 * MIB);
    take_when_hashed(&a, fd, 9 * MIB, &begun);
    append_bytes(f, fd, p + 9 * MIB, n - 9 * MIB);
    assert_continues(f, fd, &begun, p, n);
    take_when_hashed(&a, fd, n, &begun);
    assert_int_equal(begun.size, n);
    assert_continues(f, fd, &begun, p, n);
    fdio_close(fd);
    free(p);
}

static void
a_complete_body_is_hashed_no_further(void **state)
{
    struct fixture *f = *state;
    size_t n = 16 * MIB;
    unsigned char *p = some_bytes(n, 2);
    struct digest_begun begun;
    struct body_ahead a;
    int fd = new_body();

    OK(f, body_ahead_make(&a, &f->err));
    body_ahead_follow(&a, f->reg.dirfd);
    append_bytes(f, fd, p, 9 * MIB);
    body_ahead_announce(&a);
    clock_sleep_ms(500);
    body_ahead_freeze(&a, fd);
    append_bytes(f, fd, p + 9 * MIB, n - 9 * MIB);
    body_ahead_announce(&a);
    clock_sleep_ms(500);
    if (body_ahead_take(&a, fd, &begun)) {
        assert_true(begun.size <= 9 * MIB);
        assert_continues(f, fd, &begun, p, n);
    }
    fdio_close(fd);
    free(p);
}

static void
a_body_with_another_name_is_left_alone(void **state)
{
    struct fixture *f = *state;
    unsigned char *p = some_bytes(9 * MIB, 3);
    struct digest_begun begun;
    struct body_ahead a;
    int fd = new_body();

    OK(f, body_ahead_make(&a, &f->err));
    append_bytes(f, fd, p, 9 * MIB);
    assert_int_equal(link(NAME, "uploads/data"), 0);
    body_ahead_follow(&a, f->reg.dirfd);
    body_ahead_announce(&a);
    clock_sleep_ms(500);
    assert_false(body_ahead_take(&a, fd, &begun));
    fdio_close(fd);
    free(p);
}

static void
a_small_body_is_left_alone(void **state)
{
    struct fixture *f = *state;
    unsigned char *p = some_bytes(MIB, 4);
    struct digest_begun begun;
    struct body_ahead a;
    int fd = new_body();

    OK(f, body_ahead_make(&a, &f->err));
    append_bytes(f, fd, p, MIB);
    body_ahead_follow(&a, f->reg.dirfd);
    body_ahead_announce(&a);
    clock_sleep_ms(500);
    assert_false(body_ahead_take(&a, fd, &begun));
    assert_false(body_ahead_take(NULL, fd, &begun));
    fdio_close(fd);
    free(p);
}

/* The second file mostly gets the inode of the first. */
static void
no_file_is_taken_for_an_earlier_one(void **state)
{
    struct fixture *f = *state;
    unsigned char *first = some_bytes(9 * MIB, 5), *second = some_bytes(9 * MIB, 6);
    struct digest_begun begun;
    struct body_ahead a;
    int fd;

    OK(f, body_ahead_make(&a, &f->err));
    body_ahead_follow(&a, f->reg.dirfd);
    for (int i = 0; i < 4; i++) {
        fd = new_body();
        append_bytes(f, fd, first, 9 * MIB);
        body_ahead_announce(&a);
        clock_sleep_ms(400);
        fdio_close(fd);
        unlink(NAME);
        fd = new_body();
        append_bytes(f, fd, second, 9 * MIB);
        body_ahead_announce(&a);
        if (i % 2 == 1)
            clock_sleep_ms(400);
        body_ahead_take(&a, fd, &begun);
        if (begun.size > 0)
            assert_continues(f, fd, &begun, second, 9 * MIB);
        fdio_close(fd);
        unlink(NAME);
    }
    free(first);
    free(second);
}

static void
a_follower_that_dies_holds_up_nobody(void **state)
{
    struct fixture *f = *state;
    size_t n = 64 * MIB;
    unsigned char *p = some_bytes(n, 7);
    struct digest_begun begun;
    struct body_ahead a;
    int fd = new_body();
    pid_t pid;

    OK(f, body_ahead_make(&a, &f->err));
    append_bytes(f, fd, p, n);
    clock_sleep_ms(100);
    for (int i = 0; i < 20; i++) {
        pid = fork();
        if (pid == 0) {
            body_ahead_follow(&a, f->reg.dirfd);
            for (;;)
                pause();
        }
        body_ahead_announce(&a);
        clock_sleep_ms((uint64_t)(3 + 4 * i));
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        if (i % 3 == 2 && body_ahead_take(&a, fd, &begun))
            assert_continues(f, fd, &begun, p, n);
    }
    body_ahead_follow(&a, f->reg.dirfd);
    take_when_hashed(&a, fd, n, &begun);
    assert_continues(f, fd, &begun, p, n);
    fdio_close(fd);
    free(p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_files, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_large_body_is_hashed_while_it_grows),  TEST(a_complete_body_is_hashed_no_further),
        TEST(a_body_with_another_name_is_left_alone), TEST(a_small_body_is_left_alone),
        TEST(no_file_is_taken_for_an_earlier_one),    TEST(a_follower_that_dies_holds_up_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
