#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <unistd.h>
#include "process/options/absolute_path.h"

static void
expect(const char *name, const char *want)
{
    struct err err;
    char *full = absolute_path(name, &err);
    assert_non_null(full);
    assert_string_equal(full, want);
    free(full);
}

static void
names_become_absolute(void **state)
{
    (void)state;
    assert_int_equal(chdir("/usr/bin"), 0);
    expect("a", "/usr/bin/a");
    expect(".", "/usr/bin");
    expect("./a//b/./", "/usr/bin/a/b");
    expect("/", "/");
    expect("//x/", "/x");
    expect("/.x/y.", "/.x/y.");
    assert_int_equal(chdir("/"), 0);
    expect(".", "/");
    expect("a", "/a");
}

/* What is behind a symbolic link is elsewhere. */
static void
steps_up_are_left_to_the_kernel(void **state)
{
    (void)state;
    expect("/a/../b", "/a/../b");
    expect("/a/..", "/a/..");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_become_absolute),
        cmocka_unit_test(steps_up_are_left_to_the_kernel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
