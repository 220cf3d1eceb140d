#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include "util/err.h"

static void
a_failure_is_told_with_code_and_name(void **state)
{
    (void)state;
    struct err e;
    memset(&e, 0x55, sizeof e);
    assert_int_equal(err_set(&e, ERR_BAD_TAG, "tag %s", "x"), -1);
    assert_int_equal(e.code, ERR_BAD_TAG);
    assert_int_equal(e.sys, 0);
    assert_string_equal(e.message, "tag x");
    assert_null(e.about);
    assert_int_equal(e.about_n, 0);
}

static void
a_system_failure_says_why_and_keeps_errno(void **state)
{
    (void)state;
    struct err e;
    errno = ENOENT;
    assert_int_equal(err_errno(&e, "cannot open %s", "f"), -1);
    assert_int_equal(errno, ENOENT);
    assert_int_equal(e.code, ERR_SYSTEM);
    assert_int_equal(e.sys, ENOENT);
    assert_string_equal(e.message, "cannot open f: No such file or directory");
}

static void
a_full_disk_is_told_from_other_failures(void **state)
{
    (void)state;
    struct err e;
    errno = ENOSPC;
    err_errno(&e, "x");
    assert_int_equal(e.code, ERR_NO_SPACE);
    errno = EDQUOT;
    err_errno(&e, "x");
    assert_int_equal(e.code, ERR_NO_SPACE);
    assert_int_equal(e.sys, EDQUOT);
}

static void
a_long_name_is_cut_but_the_reason_stays(void **state)
{
    (void)state;
    char name[2 * ERR_MESSAGE_MAX];
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    struct err e;
    err_set(&e, ERR_BAD_NAME, "%s", name);
    assert_int_equal(strlen(e.message), ERR_MESSAGE_MAX - 1);
    errno = EACCES;
    err_errno(&e, "%s", name);
    assert_int_equal(strlen(e.message), ERR_MESSAGE_MAX - 1);
    assert_non_null(strstr(e.message, "n: Permission denied"));
}

static void
a_message_may_be_built_on_the_one_before(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_SYSTEM, "inner");
    err_set(&e, ERR_SYSTEM, "outer: %s", e.message);
    assert_string_equal(e.message, "outer: inner");
}

static void
bytes_that_spoil_json_or_a_terminal_are_replaced(void **state)
{
    (void)state;
    struct err e;
    err_set(&e, ERR_BAD_NAME, "%s", "a\n\x1b\xff\x7f~ z");
    assert_string_equal(e.message, "a????~ z");
}

static void
a_text_of_others_is_cut_between_its_characters(void **state)
{
    (void)state;
    struct err e;
    char text[ERR_MESSAGE_MAX + 10];
    assert_int_equal(err_set_utf8(&e, ERR_DENIED, "nicht gepr\303\274ft"), -1);
    assert_int_equal(e.code, ERR_DENIED);
    assert_string_equal(e.message, "nicht gepr\303\274ft");
    memset(text, 'x', sizeof text);
    for (int at = 0; at < 4; at++) {
        snprintf(text + ERR_MESSAGE_MAX - 4 + at, sizeof text - (ERR_MESSAGE_MAX - 4 + (size_t)at),
                 "\342\202\254yyy");
        err_set_utf8(&e, ERR_DENIED, text);
        assert_int_equal(strlen(e.message), ERR_MESSAGE_MAX - (at == 0 ? 1 : 4 - at));
        text[ERR_MESSAGE_MAX - 4 + at] = 'x';
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failure_is_told_with_code_and_name),
        cmocka_unit_test(a_system_failure_says_why_and_keeps_errno),
        cmocka_unit_test(a_full_disk_is_told_from_other_failures),
        cmocka_unit_test(a_long_name_is_cut_but_the_reason_stays),
        cmocka_unit_test(a_message_may_be_built_on_the_one_before),
        cmocka_unit_test(bytes_that_spoil_json_or_a_terminal_are_replaced),
        cmocka_unit_test(a_text_of_others_is_cut_between_its_characters),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
