#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <crypt.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/htpasswd.h"
#include "util/fdio.h"
#include "util/log.h"
#include "util/banned.h"

static char dir[] = "/tmp/test_htpasswd.XXXXXX";
static int dirfd_;
static struct buf given;
static struct buf file;

static int
set_up(void **state)
{
    (void)state;
    struct err err;
    memcpy(dir + sizeof dir - 7, "XXXXXX", 6);
    if (mkdtemp(dir) == NULL || (dirfd_ = open(dir, O_RDONLY | O_DIRECTORY)) < 0)
        return -1;
    buf_init(&given, 10000);
    buf_init(&file, HTPASSWD_MAX);
    return fdio_mkdir(dirfd_, "auth", 0700, &err) == 1 && fdio_mkdir(dirfd_, "run", 0700, &err) == 1
               ? 0
               : -1;
}

static int
tear_down(void **state)
{
    (void)state;
    struct err err;
    buf_free(&given);
    buf_free(&file);
    close(dirfd_);
    return fdio_remove_tree(AT_FDCWD, dir, &err);
}

static void
write_ours(const char *text)
{
    struct err err;
    assert_int_equal(fdio_replace_file(dirfd_, "auth/htpasswd", 0600, bytes_str(text), &err), 0);
}

static size_t
install(void)
{
    struct err err;
    struct htpasswd_state state = {.users = 99};
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), &state, &err), 0);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), state.closed);
    return state.users;
}

static void
the_hash_is_one_that_crypt_checks_quickly(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(htpasswd_add(&given, "ann", "a:b c", &err), 0);
    const char *line = buf_text(&given);
    assert_memory_equal(line, "ann:$5$rounds=1000$", 19);
    char *hash = strndup(line + 4, strcspn(line + 4, "\n"));
    assert_string_equal(crypt("a:b c", hash), hash);
    assert_string_not_equal(crypt("a:b", hash), hash);
    free(hash);
}

static bool
is_open(void)
{
    return faccessat(dirfd_, "run/htpasswd", F_OK, 0) != 0;
}

static void
nobody_means_no_file(void **state)
{
    (void)state;
    assert_int_equal(install(), 0);
    assert_true(is_open());
}

static void
a_file_that_names_nobody_lets_nobody_in(void **state)
{
    (void)state;
    write_ours("# nobody yet\n\n");
    assert_int_equal(install(), 0);
    assert_false(is_open());
    assert_int_equal(file.n, 0);
}

static void
without_the_file_the_registry_is_open_again(void **state)
{
    (void)state;
    write_ours("ann:$5$x\n");
    assert_int_equal(install(), 1);
    assert_int_equal(unlinkat(dirfd_, "auth/htpasswd", 0), 0);
    assert_int_equal(install(), 0);
    assert_true(is_open());
}

static void
the_given_password_wins(void **state)
{
    (void)state;
    buf_puts(&given, "ann:GIVEN\n");
    write_ours("bob:B\r\nann:OLD\nannette:C");
    assert_int_equal(install(), 3);
    assert_string_equal(buf_text(&file), "ann:GIVEN\nbob:B\nannette:C\n");
    struct stat st;
    assert_int_equal(fstatat(dirfd_, "run/htpasswd", &st, 0), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
}

static void
lines_that_are_none_are_left_out(void **state)
{
    (void)state;
    write_ours("# a comment: yes\nno colon\n:nobody\nempty:\na\tb:tab\nok:$5$x\n");
    assert_int_equal(install(), 1);
    assert_string_equal(buf_text(&file), "ok:$5$x\n");
}

static void
what_cannot_be_read_leaves_the_file_as_it_was(void **state)
{
    (void)state;
    struct err err;
    struct htpasswd_state unchanged = {.users = 77};
    write_ours("ann:$5$x\n");
    assert_int_equal(install(), 1);
    assert_int_equal(unlinkat(dirfd_, "auth/htpasswd", 0), 0);
    assert_int_equal(symlinkat("/etc/passwd", dirfd_, "auth/htpasswd"), 0);
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), &unchanged, &err), -1);
    assert_int_equal(unchanged.users, 77);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), 1);
    assert_string_equal(buf_text(&file), "ann:$5$x\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_hash_is_one_that_crypt_checks_quickly),
        TEST(nobody_means_no_file),
        TEST(a_file_that_names_nobody_lets_nobody_in),
        TEST(without_the_file_the_registry_is_open_again),
        TEST(the_given_password_wins),
        TEST(lines_that_are_none_are_left_out),
        TEST(what_cannot_be_read_leaves_the_file_as_it_was),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
