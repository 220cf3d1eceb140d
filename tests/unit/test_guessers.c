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
#include "process/nginx/guessers.h"
#include "util/fdio.h"
#include "util/log.h"

static struct guessers g;
static int data_fd;

static bool
is_barred(const char *name)
{
    char path[100];
    struct stat st;

    snprintf(path, sizeof path, "run/guessers/%s", name);
    return fstatat(data_fd, path, &st, 0) == 0;
}

static int
make_dir(void **state)
{
    static char name[] = "/tmp/test_guessers.XXXXXX";
    struct err err;

    *state = mkdtemp(name);
    data_fd = open(name, O_RDONLY | O_DIRECTORY);
    return mkdirat(data_fd, "run", 0700) != 0 || mkdirat(data_fd, "run/guessers", 0700) != 0 ||
           mkdirat(data_fd, "run/guessers/old", 0700) != 0 ||
           guessers_init(&g, data_fd, 3, &err) != 0;
}

static int
remove_dir(void **state)
{
    struct err err;

    fdio_close(data_fd);
    return fdio_remove_tree(AT_FDCWD, *state, &err);
}

static void
names_are_those_of_networks(void **state)
{
    static const char *const names[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2:"},
        {"2001:db8:1:2::5", "2001:db8:1:2:"},
        {"2001:db8:1::5", "2001:db8:1::"},
        {"2001:db8::", "2001:db8::"},
        {"::1", ":"},
        {"fe80::1", "fe80::"},
        {"unix:", "unix:"},
        {"", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char name[GUESSER_NAME_MAX];

        guesser_name(name, names[i][0]);
        assert_string_equal(name, names[i][1]);
    }
}

static void
a_guesser_is_barred_for_a_minute(void **state)
{
    (void)state;
    assert_false(is_barred("old"));
    guessers_count(&g, "192.0.2.1", 1000);
    guessers_count(&g, "192.0.2.1", 60999);
    guessers_tend(&g, 60999);
    assert_false(is_barred("192.0.2.1"));
    guessers_count(&g, "192.0.2.2", 60999);
    guessers_count(&g, "192.0.2.1", 60999);
    assert_true(is_barred("192.0.2.1"));
    assert_false(is_barred("192.0.2.2"));
    guessers_tend(&g, 120998);
    assert_true(is_barred("192.0.2.1"));
    guessers_tend(&g, 120999);
    assert_false(is_barred("192.0.2.1"));
    for (int i = 0; i < 2; i++)
        guessers_count(&g, "192.0.2.1", 121000); /* it begins anew */
    assert_false(is_barred("192.0.2.1"));
    guessers_tend(&g, 500000);
}

static void
few_wrong_passwords_a_minute_are_allowed(void **state)
{
    (void)state;
    for (uint64_t now = 1000; now < 10000000; now += 31000) {
        guessers_tend(&g, now);
        guessers_count(&g, "192.0.2.1", now);
        assert_false(is_barred("192.0.2.1"));
    }
    guessers_tend(&g, 20000000);
}

static void
networks_are_counted_and_this_machine_is_not(void **state)
{
    char address[50];

    (void)state;
    for (int i = 0; i < 3; i++) {
        snprintf(address, sizeof address, "2001:db8:1:2:%d::1", i);
        guessers_count(&g, address, 1000);
        guessers_count(&g, "127.0.0.1", 1000);
        guessers_count(&g, "::1", 1000);
        guessers_count(&g, "../x", 1000);
        guessers_count(&g, "..", 1000);
        guessers_count(&g, "", 1000);
    }
    assert_true(is_barred("2001:db8:1:2:"));
    assert_false(is_barred("127.0.0.1"));
    assert_false(is_barred(":"));
    assert_false(is_barred("../x"));
    guessers_tend(&g, 500000);
    assert_false(is_barred("2001:db8:1:2:"));
}

static void
more_addresses_than_places_do_no_harm(void **state)
{
    char address[50];

    (void)state;
    for (int i = 0; i < 3 * GUESSERS_MAX; i++) {
        snprintf(address, sizeof address, "10.0.%d.%d", i / 256, i % 256);
        for (int n = 0; n < 3; n++)
            guessers_count(&g, address, 1000);
    }
    assert_true(is_barred("10.0.0.255"));
    assert_false(is_barred("10.0.1.0"));
    guessers_tend(&g, 100000);
    assert_false(is_barred("10.0.0.255"));
    g.max = 0;
    for (int n = 0; n < 10; n++)
        guessers_count(&g, "192.0.2.9", 1000);
    assert_false(is_barred("192.0.2.9"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_those_of_networks),
        cmocka_unit_test(a_guesser_is_barred_for_a_minute),
        cmocka_unit_test(few_wrong_passwords_a_minute_are_allowed),
        cmocka_unit_test(networks_are_counted_and_this_machine_is_not),
        cmocka_unit_test(more_addresses_than_places_do_no_harm),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
