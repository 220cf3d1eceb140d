#include "store_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/body_dir.h"

static void
expect_message(const struct fixture *f, const char *text)
{
    if (strstr(f->err.message, text) == NULL)
        fail_msg("%s isn't in: %s", text, f->err.message);
}

static void
as_it_was_made_it_is_fine(void **state)
{
    struct fixture *f = *state;
    OK(f, body_dir_check(f->reg.dirfd, &f->err));
}

static void
another_owner_is_told(void **state)
{
    struct fixture *f = *state;
    const struct passwd *pw = getpwuid(1);
    char command[80], option[80];

    if (geteuid() != 0 || pw == NULL)
        skip();
    snprintf(command, sizeof command, "\"chown -R %s DIR\"", pw->pw_name);
    snprintf(option, sizeof option, "--run-as %s", pw->pw_name);
    assert_int_equal(chown("uploads/body", 1, 1), 0);
    REFUSED(f, body_dir_check(f->reg.dirfd, &f->err), ERR_SYSTEM);
    expect_message(f, command);
    expect_message(f, option);
    assert_int_equal(chown("uploads/body", 0, 0), 0);
}

static void
another_file_system_is_told(void **state)
{
    struct fixture *f = *state;
    struct stat here, there;
    char other[] = "/dev/shm/test_body_dir.XXXXXX";
    if (stat("uploads", &here) != 0 || stat("/dev/shm", &there) != 0 ||
        here.st_dev == there.st_dev || mkdtemp(other) == NULL)
        skip();
    assert_int_equal(rename("uploads/body", "uploads/away"), 0);
    assert_int_equal(symlink(other, "uploads/body"), 0);
    REFUSED(f, body_dir_check(f->reg.dirfd, &f->err), ERR_SYSTEM);
    expect_message(f, "different file systems");
    errno = EXDEV;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "", &f->err), ERR_SYSTEM);
    expect_message(f, "different file systems");
    assert_int_equal(unlink("uploads/body"), 0);
    assert_int_equal(rename("uploads/away", "uploads/body"), 0);
    rmdir(other);
    OK(f, body_dir_check(f->reg.dirfd, &f->err));
}

static void
why_a_body_is_not_there(void **state)
{
    struct fixture *f = *state;
    errno = ENOENT;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "./uploads/body/1", &f->err), ERR_BUSY);
    errno = ENOENT;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "/no/such/uploads/body/1", &f->err), ERR_BUSY);
    errno = ENOENT;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "/dev/null", &f->err), ERR_SYSTEM);
    expect_message(f, "/dev/null");
    expect_message(f, "--dir");
    errno = EACCES;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "", &f->err), ERR_SYSTEM);
    expect_message(f, "nginx must run as");
    errno = ENOSPC;
    REFUSED(f, body_dir_explain(f->reg.dirfd, "x", "", &f->err), ERR_NO_SPACE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fixture_files, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(as_it_was_made_it_is_fine),
        TEST(another_owner_is_told),
        TEST(another_file_system_is_told),
        TEST(why_a_body_is_not_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
