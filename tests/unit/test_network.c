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

static void
networks_have_addresses(void **state)
{
    static const struct {
        const char *network, *address;
        bool has;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.7", "192.0.2.7", true},
        {"192.0.2.7", "192.0.2.6", false},
        {"192.0.2.128/25", "192.0.2.127", false},
        {"192.0.2.128/25", "192.0.2.128", true},
        {"0.0.0.0/0", "203.0.113.1", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", true},
        {"2001:db8::/33", "2001:db8:7fff::1", true},
        {"2001:db8::/33", "2001:db8:8000::1", false},
        {"::1", "::1", true},
        {"::1", "127.0.0.1", false},
        {"127.0.0.0/8", "::ffff:127.1.2.3", true},
        {"::ffff:192.0.2.0/120", "192.0.2.9", true},
        {"none", "192.0.2.1", false},
        {"192.0.2.0/24", "unix:", false},
        {"192.0.2.0/24", "", false},
        {"192.0.2.0/24", "192.0.2.1:80", false},
    };
    static const char *const bad[] = {"",
                                      "/",
                                      "/8",
                                      "192.0.2.0/",
                                      "192.0.2.0/33",
                                      "192.0.2.0/-1",
                                      "192.0.2.0/8x",
                                      "192.0.2",
                                      "2001:db8::/129",
                                      "localhost",
                                      "192.0.2.0/18446744073709551617",
                                      "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/1"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (network_has(cases[i].network, cases[i].address) != cases[i].has)
            fail_msg("%s %s", cases[i].network, cases[i].address);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (network_is_valid(bad[i]) || network_has(bad[i], "192.0.2.1"))
            fail_msg("%s is taken", bad[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(networks_have_addresses),
        cmocka_unit_test(addresses_of_one_client_are_one_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
