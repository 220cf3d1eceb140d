#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/fdio.h"

/* Each test has an empty directory of its own: its descriptor. */
static char dir_path[4096];
static int dir;

static int
make_dir(void **state)
{
    (void)state;
    const char *parent = getenv("TMPDIR");
    snprintf(dir_path, sizeof dir_path, "%s/test_fdio.XXXXXX", parent != NULL ? parent : "/tmp");
    if (mkdtemp(dir_path) == NULL) {
        return -1;
    }
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    return dir < 0 ? -1 : 0;
}

static int
remove_dir(void **state)
{
    (void)state;
    struct err err;
    close(dir);
    return fdio_remove_tree(AT_FDCWD, dir_path, &err);
}

static void
make_file(const char *name, const char *content)
{
    struct err err;
    int fd = openat(dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, content, strlen(content), name, &err), 0);
    assert_int_equal(fdio_fsync(fd, name, &err), 0);
    fdio_close(fd);
}

static void
assert_content(const char *name, const char *content)
{
    struct buf b;
    struct err err;
    buf_init(&b, 1 << 20);
    assert_int_equal(fdio_read_file(dir, name, &b, &err), 1);
    assert_string_equal(buf_text(&b), content);
    buf_free(&b);
}

static bool
is_there(const char *name)
{
    struct stat st;
    return fstatat(dir, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static void
a_file_is_read_whole_or_reported_missing_or_too_large(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    make_file("f", "12345");
    buf_init(&b, 5);
    assert_int_equal(fdio_read_file(dir, "f", &b, &err), 1);
    assert_string_equal(buf_text(&b), "12345");
    assert_int_equal(fdio_read_file(dir, "none", &b, &err), 0);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    buf_init(&b, 4);
    assert_int_equal(fdio_read_file(dir, "f", &b, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    assert_int_equal(fdio_read_file(dir, ".", &b, &err), -1);
    assert_int_equal(err.sys, EISDIR);
    buf_free(&b);
}

static void
symbolic_links_are_not_followed(void **state)
{
    (void)state;
    struct buf b;
    struct err err;
    make_file("f", "old");
    assert_int_equal(symlinkat("f", dir, "link"), 0);
    assert_int_equal(symlinkat(".", dir, "dirlink"), 0);
    buf_init(&b, 100);
    assert_int_equal(fdio_read_file(dir, "link", &b, &err), -1);
    assert_int_equal(err.sys, ELOOP);
    buf_free(&b);
    assert_int_equal(fdio_fsync_dir(dir, "dirlink", &err), -1);
    assert_int_equal(fdio_mkdir(dir, "dirlink", 0700, &err), -1);
    assert_int_equal(fdio_remove_tree(dir, "dirlink", &err), -1);
    assert_int_equal(fdio_replace_file(dir, "link", 0600, bytes_str("new"), &err), 0);
    assert_content("link", "new");
    assert_content("f", "old");
}

static void
a_directory_is_made_once(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(fdio_mkdir(dir, "d", 0700, &err), 1);
    assert_int_equal(fdio_mkdir(dir, "d", 0700, &err), 0);
    assert_int_equal(fdio_fsync_dir(dir, "d", &err), 0);
    assert_int_equal(fdio_fsync_dir(dir, ".", &err), 0);
    make_file("f", "");
    assert_int_equal(fdio_mkdir(dir, "f", 0700, &err), -1);
    assert_int_equal(err.sys, ENOTDIR);
    assert_int_equal(fdio_mkdir(dir, "no/d", 0700, &err), -1);
    assert_int_equal(err.sys, ENOENT);
}

static void
a_file_is_replaced_with_exactly_that_mode(void **state)
{
    (void)state;
    struct err err;
    struct stat st;
    mode_t old = umask(077);
    assert_int_equal(fdio_replace_file(dir, "f", 0644, bytes_str("one"), &err), 0);
    assert_int_equal(fdio_replace_file(dir, "f", 0664, bytes_str("two"), &err), 0);
    umask(old);
    assert_content("f", "two");
    assert_int_equal(fstatat(dir, "f", &st, 0), 0);
    assert_int_equal(st.st_mode & 07777, 0664);
    assert_int_equal(fdio_mkdir(dir, "d", 0700, &err), 1);
    assert_int_equal(fdio_replace_file(dir, "d/f", 0600, bytes_str("three"), &err), 0);
    assert_content("d/f", "three");
}

static void
a_replacement_that_fails_leaves_nothing(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(fdio_mkdir(dir, "d", 0700, &err), 1);
    assert_int_equal(fdio_replace_file(dir, "d", 0600, bytes_str("x"), &err), -1);
    assert_int_equal(err.sys, EISDIR);
    assert_int_equal(unlinkat(dir, "d", AT_REMOVEDIR), 0);
    /* only an empty directory can be removed */
    assert_int_equal(rmdir(dir_path), 0);
    assert_int_equal(mkdir(dir_path, 0700), 0);
    close(dir);
    dir = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void
an_append_goes_behind_what_is_there(void **state)
{
    (void)state;
    struct err err;
    make_file("to", "hello ");
    make_file("from", "world and more");
    int to = openat(dir, "to", O_RDWR | O_CLOEXEC);
    int from = openat(dir, "from", O_RDONLY | O_CLOEXEC);
    assert_int_equal(lseek(from, 3, SEEK_SET), 3);
    assert_int_equal(fdio_append(to, 6, from, 5, "to", &err), 0);
    assert_content("to", "hello world");
    assert_int_equal(fdio_append(to, 11, from, 15, "to", &err), -1);
    assert_int_equal(err.code, ERR_BAD_SIZE);
    assert_int_equal(fdio_append(to, UINT64_MAX, from, 2, "to", &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    fdio_close(to);
    fdio_close(from);
}

static void
sending_goes_to_files_and_pipes(void **state)
{
    (void)state;
    struct err err;
    int ends[2];
    char back[6] = "";
    make_file("from", "hello world");
    make_file("to", "");
    make_file("log", "so ");
    int from = openat(dir, "from", O_RDONLY | O_CLOEXEC);
    int to = openat(dir, "to", O_WRONLY | O_CLOEXEC);
    int log = openat(dir, "log", O_WRONLY | O_APPEND | O_CLOEXEC); /* sendfile refuses these */
    uint64_t at = 6;
    assert_int_equal(fdio_send(to, from, &at, 5, "to", &err), 0);
    assert_int_equal(at, 11);
    assert_content("to", "world");
    assert_int_equal(fdio_send(to, from, &at, 1, "to", &err), -1);
    assert_int_equal(err.code, ERR_BAD_SIZE);
    at = 0;
    assert_int_equal(fdio_send(log, from, &at, 5, "log", &err), 0);
    assert_int_equal(at, 5);
    assert_content("log", "so hello");
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    at = 0;
    assert_int_equal(fdio_send(ends[1], from, &at, 5, "pipe", &err), 0);
    assert_int_equal(read(ends[0], back, 5), 5);
    assert_string_equal(back, "hello");
    close(ends[0]);
    close(ends[1]);
    fdio_close(log);
    fdio_close(to);
    fdio_close(from);
}

static void
a_pipe_that_is_full_is_waited_for(void **state)
{
    (void)state;
    static const char block[65536];
    struct err err;
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    assert_int_equal(fdio_can_write(ends[1], 0, "pipe", &err), 1);
    while (write(ends[1], block, sizeof block) > 0)
        continue;
    assert_int_equal(fdio_can_write(ends[1], 10, "pipe", &err), 0);
    close(ends[0]); /* a write says more */
    assert_int_equal(fdio_can_write(ends[1], 10, "pipe", &err), 1);
    close(ends[1]);
}

static void
an_append_works_where_the_kernel_cannot_copy(void **state)
{
    (void)state;
    struct err err;
    static char zeros[200001];
    make_file("to", "x");
    int to = openat(dir, "to", O_RDWR | O_CLOEXEC);
    int from = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    assert_int_equal(fdio_append(to, 1, from, 200000, "to", &err), 0);
    char back[200001];
    assert_int_equal(pread(to, back, sizeof back, 0), 200001);
    assert_int_equal(back[0], 'x');
    assert_memory_equal(back + 1, zeros, 200000);
    fdio_close(to);
    fdio_close(from);
}

static void
a_tree_is_removed_and_what_it_links_to_stays(void **state)
{
    (void)state;
    struct err err;
    make_file("keep", "kept");
    assert_int_equal(fdio_mkdir(dir, "t", 0700, &err), 1);
    assert_int_equal(fdio_mkdir(dir, "t/a", 0700, &err), 1);
    assert_int_equal(fdio_mkdir(dir, "t/a/b", 0700, &err), 1);
    assert_int_equal(fdio_mkdir(dir, "outside", 0700, &err), 1);
    make_file("outside/f", "x");
    make_file("t/a/b/f", "x");
    assert_int_equal(symlinkat("../../keep", dir, "t/a/link"), 0);
    assert_int_equal(symlinkat("../../outside", dir, "t/a/dirlink"), 0);
    for (int i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "t/a/%d", i);
        int fd = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        close(fd);
    }
    assert_int_equal(fdio_remove_tree(dir, "t", &err), 0);
    assert_false(is_there("t"));
    assert_content("keep", "kept");
    assert_content("outside/f", "x");
    assert_int_equal(fdio_remove_tree(dir, "t", &err), 0);
    assert_int_equal(fdio_remove_tree(dir, "keep", &err), -1);
    assert_true(is_there("keep"));
}

static void
a_file_that_somebody_has_open_is_in_use(void **state)
{
    (void)state;
    make_file("f", "x");
    int fd = openat(dir, "f", O_RDONLY | O_CLOEXEC);
    int r = fdio_in_use(fd);
    if (r < 0 && (errno == EINVAL || errno == EACCES)) {
        print_message("the file system of %s has no leases\n", dir_path);
        close(fd);
        skip();
    }
    assert_int_equal(r, 0);

    int ready[2];
    int done[2];
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    pid_t child = fork();
    if (child == 0) {
        char c;
        close(done[1]);
        int own = openat(dir, "f", O_RDONLY);
        if (own < 0 || write(ready[1], "x", 1) != 1 || read(done[0], &c, 1) < 0) {
            _exit(1);
        }
        _exit(0);
    }
    char c;
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(fdio_in_use(fd), 1);
    close(done[1]);
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(fdio_in_use(fd), 0);
    close(ready[0]);
    close(ready[1]);
    close(done[0]);
    /* the lease is given back: opening doesn't wait */
    int again = openat(dir, "f", O_RDWR | O_NONBLOCK | O_CLOEXEC);
    assert_true(again >= 0);
    assert_int_equal(fdio_in_use(fd), 1);
    close(again);
    close(fd);
}

static void
closing_keeps_errno(void **state)
{
    (void)state;
    errno = ENOSPC;
    fdio_close(-1);
    fdio_close(1 << 20);
    assert_int_equal(errno, ENOSPC);
}

static void
a_full_disk_is_reported_as_such(void **state)
{
    (void)state;
    struct err err;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    if (fd < 0) {
        skip();
    }
    assert_int_equal(fdio_write_all(fd, "x", 1, "blob", &err), -1);
    assert_int_equal(err.code, ERR_NO_SPACE);
    assert_non_null(strstr(err.message, "blob"));
    close(fd);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_dir, remove_dir)

static bool
is_open(int fd)
{
    return fcntl(fd, F_GETFD) >= 0;
}

static void
all_other_descriptors_are_closed(void **state)
{
    int status;
    pid_t pid;

    (void)state;
    pid = fork();
    if (pid == 0) {
        int keep[] = {17, 2, 12, -1, 16};
        bool right = true;

        for (int fd = 10; fd < 20; fd++)
            dup2(dir, fd);
        fdio_close_others(keep, sizeof keep / sizeof keep[0]);
        for (int fd = 3; fd < 30; fd++)
            right = right && is_open(fd) == (fd == 12 || fd == 16 || fd == 17);
        for (int fd = 0; fd < 3; fd++)
            right = right && is_open(fd);
        fdio_close_others(NULL, 0);
        _exit(right && !is_open(12) ? 0 : 1);
    }
    assert_true(pid > 0);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void
a_file_is_read_up_to_its_end(void **state)
{
    char bytes[10];
    struct err err;
    int fd = openat(dir, "five", O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    (void)state;
    assert_int_equal(fdio_write_all(fd, "12345", 5, "five", &err), 0);
    assert_int_equal(fdio_read_at(fd, bytes, sizeof bytes, 0), 5);
    assert_memory_equal(bytes, "12345", 5);
    assert_int_equal(fdio_read_at(fd, bytes, 2, 1), 2);
    assert_memory_equal(bytes, "23", 2);
    assert_int_equal(fdio_read_at(fd, bytes, sizeof bytes, 5), 0);
    assert_int_equal(fdio_read_at(dir, bytes, sizeof bytes, 0), -1);
    close(fd);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_is_read_whole_or_reported_missing_or_too_large),
        TEST(symbolic_links_are_not_followed),
        TEST(a_directory_is_made_once),
        TEST(a_file_is_replaced_with_exactly_that_mode),
        TEST(a_replacement_that_fails_leaves_nothing),
        TEST(an_append_goes_behind_what_is_there),
        TEST(sending_goes_to_files_and_pipes),
        TEST(a_pipe_that_is_full_is_waited_for),
        TEST(an_append_works_where_the_kernel_cannot_copy),
        TEST(a_tree_is_removed_and_what_it_links_to_stays),
        TEST(a_file_that_somebody_has_open_is_in_use),
        TEST(closing_keeps_errno),
        TEST(all_other_descriptors_are_closed),
        TEST(a_file_is_read_up_to_its_end),
        TEST(a_full_disk_is_reported_as_such),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
