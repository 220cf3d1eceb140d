#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/access/htpasswd.h"
#include "util/fdio.h"
#include "util/log.h"

/* Seconds since 1970. */
#define NOW 1000

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
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &state, &err), 0);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), state.closed);
    return state.users;
}

static const uint8_t salt[HTPASSWD_SALT_BYTES] = "0123456789abcde";

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
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &unchanged, &err), -1);
    assert_int_equal(unchanged.users, 77);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), 1);
    assert_string_equal(buf_text(&file), "ann:$5$x\n");
}

/* ---- robots ---- */

static struct htpasswd_user
parse(const char *line)
{
    struct htpasswd_user u;

    htpasswd_parse(&u, bytes_str(line));
    return u;
}

static void
a_robot_is_told_by_the_third_field(void **state)
{
    static const char *const people[] = {
        "ci:H",           "ci:H:",
        "ci:H:a comment", "ci:H:robots",
        "ci:H:robot:",    "ci:H:,robot",
        "ci:H:x:robot",   "ci:H:Robot",
        "ci:H:expires=1", "ci:H:robot here, expires=1",
    };
    static const struct {
        const char *line;
        uint64_t expiry_s;
    } robots[] = {
        {"ci:H:robot", 0},
        {"ci:H:robot,", 0},
        {"ci:H:robot,expires=1795977667", 1795977667},
        {"ci:H:robot,owner=ann,expires=7,x:comment", 7},
        {"ci:H:robot,expire=7", 0},
        {"ci:H:robot,expires=", 1}, /* over, because nobody knows what was meant */
        {"ci:H:robot,expires=0", 1},
        {"ci:H:robot,expires=12:more", 1},
        {"ci:H:robot,expires=7,expires=8", 7},
        {"ci:H:robot,expires=2027-01-31", 1},
        {"ci:H:robot,expires=99999999999999999999", 1},
    };

    (void)state;
    for (size_t i = 0; i < sizeof people / sizeof *people; i++)
        if (parse(people[i]).robot || parse(people[i]).expiry_s != 0)
            fail_msg("%s", people[i]);
    for (size_t i = 0; i < sizeof robots / sizeof *robots; i++) {
        struct htpasswd_user u = parse(robots[i].line);

        if (!u.robot || u.expiry_s != robots[i].expiry_s)
            fail_msg("%s", robots[i].line);
        assert_true(bytes_equal(u.name, bytes_str("ci")));
        assert_true(bytes_equal(u.hash, bytes_str("H")));
    }
}

static void
a_robot_expires_in_its_second(void **state)
{
    struct htpasswd_user u = parse("ci:H:robot,expires=1000");

    (void)state;
    assert_false(htpasswd_has_expired(&u, 999));
    assert_true(htpasswd_has_expired(&u, 1000));
    u = parse("ci:H:robot");
    assert_false(htpasswd_has_expired(&u, UINT64_MAX));
}

static void
the_line_of_a_robot_says_when_it_expires(void **state)
{
    struct err err;
    struct htpasswd_user u;

    (void)state;
    assert_int_equal(htpasswd_add_robot(&given, "ci", "drs_x", salt, 0, &err), 0);
    assert_memory_equal(buf_text(&given), "ci:{SSHA}", 9);
    assert_string_equal(strrchr(buf_text(&given), ':'), ":robot\n");
    buf_reset(&given);
    assert_int_equal(htpasswd_add_robot(&given, "ci", "drs_x", salt, 77, &err), 0);
    assert_string_equal(strrchr(buf_text(&given), ':'), ":robot,expires=77\n");
    htpasswd_parse(&u, bytes_of(given.p, given.n - 1));
    assert_int_equal(password_hash_check(u.hash, "drs_x", &err), 1);
}

static void
expired_robots_are_left_out_with_all_lines_of_their_names(void **state)
{
    struct err err;
    struct htpasswd_state got;

    (void)state;
    write_ours("ann:A:robot\nci:B:robot,expires=1000\nbob:C\nci:D\ncd:E:robot,expires=1001\n"
               "ce:F:robot,expires=2000\n");
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &got, &err), 0);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), 1);
    assert_string_equal(buf_text(&file), "ann:A:robot\nbob:C\ncd:E:robot,expires=1001\n"
                                         "ce:F:robot,expires=2000\n");
    assert_true(got.closed);
    assert_int_equal(got.users, 4);
    assert_int_equal(got.expired, 2);
    assert_int_equal(got.next_expiry_s, 1001);
}

static void
robots_expire_without_the_password_file(void **state)
{
    struct err err;
    struct htpasswd_state got;

    (void)state;
    buf_puts(&given, "zoe:Z\n");
    write_ours("ci:B:robot,expires=1001\nann:A\nci:C\n");
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &got, &err), 0);
    assert_int_equal(unlinkat(dirfd_, "auth/htpasswd", 0), 0);
    assert_int_equal(htpasswd_expire(dirfd_, 1001, &got, &err), 0);
    assert_int_equal(fdio_read_file(dirfd_, "run/htpasswd", &file, &err), 1);
    assert_string_equal(buf_text(&file), "zoe:Z\nann:A\n");
    assert_true(got.closed);
    assert_int_equal(got.users, 2);
    assert_int_equal(got.expired, 2);
    assert_int_equal(got.next_expiry_s, 0);
}

static void
the_last_robot_leaves_the_registry_closed(void **state)
{
    struct err err;
    struct htpasswd_state got;

    (void)state;
    write_ours("ci:B:robot,expires=1001\n");
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &got, &err), 0);
    assert_int_equal(htpasswd_expire(dirfd_, 5000, &got, &err), 0);
    assert_false(is_open());
    assert_int_equal(got.users, 0);
}

static void
what_cannot_expire_is_tried_again(void **state)
{
    struct err err;
    struct htpasswd_state got;

    (void)state;
    write_ours("ci:B:robot,expires=1001\n");
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &got, &err), 0);
    assert_int_equal(unlinkat(dirfd_, "run/htpasswd", 0), 0);
    assert_int_equal(htpasswd_expire(dirfd_, 1001, &got, &err), -1);
    assert_in_range(got.next_expiry_s, 1002, 1010);
    assert_int_equal(got.users, 1);
}

/* A hundred thousand of each: nothing here takes a time that grows with the square. */
static void
many_robots_and_many_that_have_expired(void **state)
{
    struct err err;
    struct htpasswd_state got;
    struct buf many;

    (void)state;
    buf_init(&many, HTPASSWD_MAX);
    for (int i = 0; i < 200000; i++)
        buf_putf(&many, "robot-%d:{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0:robot,expires=%d\n", i,
                 i % 2 == 0 ? NOW : NOW + 1);
    assert_int_equal(fdio_replace_file(dirfd_, "auth/htpasswd", 0600, buf_bytes(&many), &err), 0);
    assert_int_equal(htpasswd_install(dirfd_, buf_bytes(&given), NOW, &got, &err), 0);
    assert_int_equal(got.users, 100000);
    assert_int_equal(got.expired, 100000);
    assert_int_equal(htpasswd_expire(dirfd_, NOW + 1, &got, &err), 0);
    assert_int_equal(got.users, 0);
    assert_int_equal(got.expired, 200000);
    buf_free(&many);
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
        TEST(the_line_follows_from_name_password_and_salt),
        TEST(nobody_means_no_file),
        TEST(a_file_that_names_nobody_lets_nobody_in),
        TEST(without_the_file_the_registry_is_open_again),
        TEST(the_given_password_wins),
        TEST(lines_that_are_none_are_left_out),
        TEST(a_name_that_no_record_could_hold_is_left_out),
        TEST(what_cannot_be_read_leaves_the_file_as_it_was),
        TEST(a_robot_is_told_by_the_third_field),
        TEST(a_robot_expires_in_its_second),
        TEST(the_line_of_a_robot_says_when_it_expires),
        TEST(expired_robots_are_left_out_with_all_lines_of_their_names),
        TEST(robots_expire_without_the_password_file),
        TEST(the_last_robot_leaves_the_registry_closed),
        TEST(what_cannot_expire_is_tried_again),
        TEST(many_robots_and_many_that_have_expired),
        TEST(names_and_passwords_are_checked),
        TEST(a_new_user_goes_behind_all_others),
        TEST(a_user_who_is_there_is_replaced_and_the_rest_stays),
        TEST(a_user_is_removed_with_all_lines_and_the_rest_stays),
        TEST(users_come_in_the_order_of_the_file),
        TEST(a_user_is_found_by_the_whole_name),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
