/* Which name servers nginx shall ask for the host of S3. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "process/nginx/name_servers.h"

static char resolv_conf[] = "/tmp/registry-test-resolv.XXXXXX";
static char hosts[] = "/tmp/registry-test-hosts.XXXXXX";

static void
write_file(const char *name, const char *text)
{
    FILE *f = fopen(name, "w");

    assert_non_null(f);
    assert_true(fputs(text, f) >= 0);
    assert_int_equal(fclose(f), 0);
}

/* With those two files; without whether there is IPv6 here. */
static const char *
servers_of(const char *host, const char *resolv_conf_text, const char *hosts_text)
{
    static char out[NAME_SERVERS_MAX];
    const char *found;
    char *last;

    write_file(resolv_conf, resolv_conf_text);
    write_file(hosts, hosts_text);
    found = name_servers_for(host, resolv_conf, hosts, out);
    if (found == NULL)
        return "none";
    assert_ptr_equal(found, out);
    last = strstr(out, " ipv6=");
    assert_non_null(last);
    assert_true(strcmp(last, " ipv6=on") == 0 || strcmp(last, " ipv6=off") == 0);
    *last = '\0';
    return out;
}

static void
the_servers_of_the_machine_are_asked(void **state)
{
    (void)state;
    assert_string_equal(servers_of("s3.example.com", "nameserver 192.0.2.1\n", ""), "192.0.2.1");
    assert_string_equal(servers_of("s3.example.com:9000",
                                   "# ours\nsearch example.com\n\tnameserver\t192.0.2.1 # first\n"
                                   "options edns0\nnameserver 2001:db8::2\n",
                                   "127.0.0.1 localhost\n"),
                        "192.0.2.1 [2001:db8::2]");
    assert_string_equal(servers_of("s3.example.com",
                                   "nameserver 192.0.2.1\nnameserver 192.0.2.2\n"
                                   "nameserver 192.0.2.3\nnameserver 192.0.2.4",
                                   ""),
                        "192.0.2.1 192.0.2.2 192.0.2.3");
}

static void
what_no_name_server_knows_is_found_at_the_start(void **state)
{
    static const char ours[] = "nameserver 192.0.2.1\n";

    (void)state;
    assert_string_equal(servers_of("192.0.2.9", ours, ""), "none");
    assert_string_equal(servers_of("192.0.2.9:9000", ours, ""), "none");
    assert_string_equal(servers_of("[2001:db8::9]:9000", ours, ""), "none");
    assert_string_equal(servers_of("minio", ours, ""), "none");
    assert_string_equal(servers_of("localhost:9000", ours, ""), "none");
    assert_string_equal(servers_of("s3.example.com", ours, "192.0.2.9 other S3.Example.com # us\n"),
                        "none");
    assert_string_equal(servers_of("s3.example.com", ours, "# 192.0.2.9 s3.example.com\n"),
                        "192.0.2.1");
}

static void
a_file_that_says_nothing_is_no_error(void **state)
{
    char out[NAME_SERVERS_MAX];

    (void)state;
    assert_string_equal(servers_of("s3.example.com", "", ""), "none");
    assert_string_equal(servers_of("s3.example.com", "nameserver\nnameserver ;{}\n", ""), "none");
    assert_string_equal(servers_of("s3.example.com", "nameserver fe80::1%eth0\n", ""), "none");
    assert_null(name_servers_for("s3.example.com", "/nonexistent/a", "/nonexistent/b", out));
}

static int
make_files(void **state)
{
    int a = mkstemp(resolv_conf), b = mkstemp(hosts);

    (void)state;
    return close(a) != 0 || close(b) != 0;
}

static int
remove_files(void **state)
{
    (void)state;
    return unlink(resolv_conf) != 0 || unlink(hosts) != 0;
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_servers_of_the_machine_are_asked),
        cmocka_unit_test(what_no_name_server_knows_is_found_at_the_start),
        cmocka_unit_test(a_file_that_says_nothing_is_no_error),
    };

    return cmocka_run_group_tests(tests, make_files, remove_files);
}
