#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/buf.h"
#include "util/kvfile.h"

static int
note(const char *name, const char *value, int line, void *arg, struct err *err)
{
    if (strcmp(name, "stop") == 0) {
        return err_set(err, ERR_DENIED, "stopped at %d", line);
    }
    buf_putf(arg, "%d:%s[%s]", line, name, value != NULL ? value : "NULL");
    return 0;
}

static int
read_text(const char *text, size_t n, struct buf *seen, struct err *err)
{
    buf_init(seen, 1000);
    return kvfile_each(bytes_of(text, n), note, seen, err);
}

static void
names_and_values_come_with_their_line(void **state)
{
    (void)state;
    static const char text[] = "# comment = no\n"
                               "\n"
                               "a = b\n"
                               "  c\t=\td e = f  \n"
                               "   \t\n"
                               "flag\n"
                               "empty =\n"
                               "crlf = x\r\n"
                               "last=1";
    struct buf seen;
    struct err err;
    assert_int_equal(read_text(text, strlen(text), &seen, &err), 0);
    assert_string_equal(buf_text(&seen),
                        "3:a[b]4:c[d e = f]6:flag[NULL]7:empty[]8:crlf[x]9:last[1]");
    buf_free(&seen);
}

static void
an_empty_file_is_fine(void **state)
{
    (void)state;
    struct buf seen;
    struct err err;
    assert_int_equal(read_text("", 0, &seen, &err), 0);
    assert_int_equal(read_text(NULL, 0, &seen, &err), 0);
    assert_int_equal(seen.n, 0);
    buf_free(&seen);
}

static void
a_bad_line_is_named(void **state)
{
    (void)state;
    struct buf seen;
    struct err err;
    assert_int_equal(read_text("a=1\n = b\n", 9, &seen, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.message, "line 2"));
    buf_free(&seen);
    assert_int_equal(read_text("a=1\n\nb=\0c\n", 10, &seen, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.message, "line 3"));
    buf_free(&seen);
}

static void
reading_stops_where_the_reader_says_so(void **state)
{
    (void)state;
    struct buf seen;
    struct err err;
    assert_int_equal(read_text("a=1\nstop\nb=1\n", 13, &seen, &err), -1);
    assert_string_equal(err.message, "stopped at 2");
    assert_string_equal(buf_text(&seen), "1:a[1]");
    buf_free(&seen);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_and_values_come_with_their_line),
        cmocka_unit_test(an_empty_file_is_fine),
        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(reading_stops_where_the_reader_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
