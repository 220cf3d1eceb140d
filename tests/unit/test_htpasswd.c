#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <crypt.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/htpasswd.h"
#include "util/fdio.h"
#include "util/log.h"

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

static const uint8_t salt[HTPASSWD_SALT_BYTES] = "0123456789abcde";

static void
the_hash_is_one_with_the_default_of_rounds(void **state)
{
    (void)state;
    struct err err;
    assert_int_equal(htpasswd_add(&given, "ann", "a:b c", salt, &err), 0);
    const char *line = buf_text(&given);
    assert_memory_equal(line, "ann:$5$", 7);
    assert_null(strstr(line, "rounds="));
    char *hash = strndup(line + 4, strcspn(line + 4, "\n"));
    assert_string_equal(crypt("a:b c", hash), hash);
    assert_string_not_equal(crypt("a:b", hash), hash);
    free(hash);
}

/* A token that was given out before a restart hangs on the line. */
static void
the_line_follows_from_name_password_and_salt(void **state)
{
    (void)state;
    struct err err;
    struct buf again;
    uint8_t other[HTPASSWD_SALT_BYTES];
    memset(other, 'x', sizeof other);
    buf_init(&again, 10000);
    assert_int_equal(htpasswd_add(&given, "ann", "a:b c", salt, &err), 0);
    assert_int_equal(htpasswd_add(&again, "ann", "a:b c", salt, &err), 0);
    assert_string_equal(buf_text(&given), buf_text(&again));
    buf_reset(&again);
    assert_int_equal(htpasswd_add(&again, "ann", "a:b d", salt, &err), 0);
    assert_string_not_equal(buf_text(&given), buf_text(&again));
    buf_reset(&again);
    assert_int_equal(htpasswd_add(&again, "ann", "a:b c", other, &err), 0);
    assert_string_not_equal(buf_text(&given), buf_text(&again));
    buf_free(&again);
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
a_name_that_no_record_could_hold_is_left_out(void **state)
{
    (void)state;
    char text[2 * HTPASSWD_NAME_MAX + 40];
    char name[HTPASSWD_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    snprintf(text, sizeof text, "%.*s:A\n%.*s:B\n", HTPASSWD_NAME_MAX + 1, name, HTPASSWD_NAME_MAX,
             name);
    write_ours(text);
    assert_int_equal(install(), 1);
    assert_int_equal(file.n, HTPASSWD_NAME_MAX + 3);
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

/* ---- what may be a name, or a password ---- */

static void
names_and_passwords_are_checked(void **state)
{
    (void)state;
    struct err err;
    char longest[HTPASSWD_PASSWORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    static const char *const good[] = {"a", "ann", "a b", "ann@example.org", "J\xc3\xb6rg", "a#"};
    static const char *const bad[] = {"", "a:b", ":", "#a", "a\tb", "a\n", "a\x7f"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_int_equal(htpasswd_check_name(bytes_str(good[i]), &err), 0);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(htpasswd_check_name(bytes_str(bad[i]), &err), -1);
        assert_int_equal(err.code, ERR_BAD_REQUEST);
    }
    assert_int_equal(htpasswd_check_name(bytes_of("a\0b", 3), &err), -1);
    assert_int_equal(htpasswd_check_name(bytes_of(longest, HTPASSWD_NAME_MAX), &err), 0);
    assert_int_equal(htpasswd_check_name(bytes_of(longest, HTPASSWD_NAME_MAX + 1), &err), -1);

    assert_int_equal(htpasswd_check_password(bytes_str("#a: b"), &err), 0);
    assert_int_equal(htpasswd_check_password(bytes_of(longest, HTPASSWD_PASSWORD_MAX), &err), 0);
    assert_int_equal(htpasswd_check_password(bytes_of(longest, sizeof longest), &err), -1);
    assert_int_equal(htpasswd_check_password(bytes_str(""), &err), -1);
    assert_int_equal(htpasswd_check_password(bytes_of("secret\0x", 8), &err), -1);
    assert_int_equal(htpasswd_check_password(bytes_str("secret\r"), &err), -1);
    assert_null(strstr(err.message, "secret"));
}

static void
the_longest_password_can_be_hashed(void **state)
{
    (void)state;
    struct err err;
    char longest[HTPASSWD_PASSWORD_MAX + 1];
    memset(longest, 'x', sizeof longest);
    longest[HTPASSWD_PASSWORD_MAX] = '\0';
    assert_int_equal(htpasswd_add(&given, "ann", longest, salt, &err), 0);
}

/* ---- editing ---- */

static const char *
put(const char *text, const char *name, const char *line)
{
    buf_reset(&file);
    htpasswd_put(bytes_str(text), bytes_str(name), bytes_str(line), &file);
    assert_true(buf_ok(&file));
    return buf_text(&file);
}

static void
a_new_user_goes_behind_all_others(void **state)
{
    (void)state;
    assert_string_equal(put("", "ann", "ann:H\n"), "ann:H\n");
    assert_string_equal(put("# us\n\nbob:B\n", "ann", "ann:H\n"), "# us\n\nbob:B\nann:H\n");
    assert_string_equal(put("bob:B", "ann", "ann:H\n"), "bob:B\nann:H\n");
    assert_string_equal(put("annette:A\nan:B\n#ann:C\n", "ann", "ann:H\n"),
                        "annette:A\nan:B\n#ann:C\nann:H\n");
}

static void
a_user_who_is_there_is_replaced_and_the_rest_stays(void **state)
{
    (void)state;
    assert_string_equal(put("# us\r\nann:A\r\nnonsense\nbob:B", "ann", "ann:H\n"),
                        "# us\r\nann:H\nnonsense\nbob:B");
    assert_string_equal(put("bob:B\nann:A", "ann", "ann:H\n"), "bob:B\nann:H\n");
    assert_string_equal(put("ann:\nbob:B\nann:A\n", "ann", "ann:H\n"), "ann:H\nbob:B\n");
}

static void
a_user_is_removed_with_all_lines_and_the_rest_stays(void **state)
{
    (void)state;
    static const char text[] = "# ann:\nann:A\n\nannette:B\r\nann:\nann\nbob:B";
    assert_int_equal(htpasswd_remove(bytes_str(text), bytes_str("ann"), &file), 1);
    assert_string_equal(buf_text(&file), "# ann:\n\nannette:B\r\nann\nbob:B");
    buf_reset(&file);
    assert_int_equal(htpasswd_remove(bytes_str(text), bytes_str("anne"), &file), 0);
    assert_string_equal(buf_text(&file), text);
}

static void
users_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    struct bytes line, name;
    struct bytes rest = bytes_str("# c: d\nzoe:$5$z\r\n\nnobody:\nno colon\n:x\nann:$5$a");
    assert_true(htpasswd_next(&rest, &line, &name));
    assert_true(bytes_equal(name, bytes_str("zoe")));
    assert_true(bytes_equal(line, bytes_str("zoe:$5$z")));
    assert_true(htpasswd_next(&rest, &line, &name));
    assert_true(bytes_equal(name, bytes_str("ann")));
    assert_true(bytes_equal(line, bytes_str("ann:$5$a")));
    assert_false(htpasswd_next(&rest, &line, &name));
}

static void
a_user_is_found_by_the_whole_name(void **state)
{
    (void)state;
    struct bytes text = bytes_str("annette:A\nann:\nann:B\nann:C\n");
    assert_true(bytes_equal(htpasswd_find(text, bytes_str("ann")), bytes_str("ann:B")));
    assert_null(htpasswd_find(text, bytes_str("anne")).p);
    assert_null(htpasswd_find(bytes_of(NULL, 0), bytes_str("ann")).p);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_hash_is_one_with_the_default_of_rounds),
        TEST(the_line_follows_from_name_password_and_salt),
        TEST(nobody_means_no_file),
        TEST(a_file_that_names_nobody_lets_nobody_in),
        TEST(without_the_file_the_registry_is_open_again),
        TEST(the_given_password_wins),
        TEST(lines_that_are_none_are_left_out),
        TEST(a_name_that_no_record_could_hold_is_left_out),
        TEST(what_cannot_be_read_leaves_the_file_as_it_was),
        TEST(names_and_passwords_are_checked),
        TEST(the_longest_password_can_be_hashed),
        TEST(a_new_user_goes_behind_all_others),
        TEST(a_user_who_is_there_is_replaced_and_the_rest_stays),
        TEST(a_user_is_removed_with_all_lines_and_the_rest_stays),
        TEST(users_come_in_the_order_of_the_file),
        TEST(a_user_is_found_by_the_whole_name),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
