#include "store_fixture.h"
#include "store_place.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/files/disk_space.h"

/* On a disk with some room; tests/t/140-full-disk.t has a full one. */

static void
what_fits_is_let_in(void **state)
{
    struct fixture *f = *state;
    int dir = f->reg.dirfd;
    uint64_t margin = disk_space_margin(dir);

    assert_true(margin > 0 && margin <= 32u << 20);
    assert_true(disk_space_free(dir) > 4 * margin);
    OK(f, disk_space_check(dir, 0, &f->err));
    OK(f, disk_space_check(dir, disk_space_free(dir) / 2, &f->err));
    REFUSED(f, disk_space_check(dir, disk_space_free(dir) + (64u << 20), &f->err), ERR_NO_SPACE);
    REFUSED(f, disk_space_check(dir, UINT64_MAX, &f->err), ERR_NO_SPACE);
}

static void
ballast_is_made_once_and_kept_while_there_is_room(void **state)
{
    ONLY_WITH_BERKELEY_DB("the ballast is room for Berkeley DB");
    struct fixture *f = *state;
    int dir = f->reg.dirfd;
    struct stat made, after;

    disk_space_save(dir);
    assert_int_equal(fstatat(dir, "db/reserve", &made, 0), 0);
    assert_int_equal(made.st_size, disk_space_margin(dir) / 2);
    assert_true((uint64_t)made.st_blocks * 512 >= disk_space_margin(dir) / 2);
    disk_space_give(dir);
    disk_space_save(dir);
    assert_int_equal(fstatat(dir, "db/reserve", &after, 0), 0);
    assert_int_equal(after.st_ino, made.st_ino);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(what_fits_is_let_in),
        TEST(ballast_is_made_once_and_kept_while_there_is_room),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
