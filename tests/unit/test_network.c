#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "util/network.h"

static void
addresses_of_one_client_are_one_network(void **state)
{
    static const char *const cases[][2] = {
        {"192.0.2.7", "192.0.2.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"2001:db8:1:2:ffff:ffff:ffff:ffff", "2001:db8:1:2::/64"},
        {"2001:db8:1:3::1", "2001:db8:1:3::/64"},
        {"::1", "::/64"},
        {"::ffff:192.0.2.7", "192.0.2.7"},
        {"fe80::1%eth0", "fe80::1%eth0"},
        {"unix:", "unix:"},
        {"", ""},
    };
    char out[NETWORK_TEXT_MAX], text[300];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        network_of(out, cases[i][0]);
        assert_string_equal(out, cases[i][1]);
    }
    memset(text, 'x', sizeof text);
    text[sizeof text - 1] = '\0';
    network_of(out, text);
    assert_int_equal(strlen(out), NETWORK_TEXT_MAX - 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(addresses_of_one_client_are_one_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
