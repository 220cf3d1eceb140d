#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "process/nginx/nginx_conf.h"

static const char *const two_plain[] = {"0.0.0.0:8000", "[::]:8000"};
static const char *const one_tls[] = {"0.0.0.0:8443"};

static struct nginx_conf
standalone(void)
{
    return (struct nginx_conf){
        .name = "main",
        .dir = "",
        .blobs = "layers",
        .sockets = "run/",
        .htpasswd = "htpasswd",
        .ui = "run/ui/",
        .version = "0.1.0",
        .max_blob_size = 0,
        .plain = two_plain,
        .plain_n = 2,
        .workers = 6,
        .nofile = 16384,
        .connections = 4096,
    };
}

/* The only @ that is left begins the name of a location. */
static void
assert_expanded(struct buf *b)
{
    for (const char *p = buf_text(b); (p = strchr(p, '@')) != NULL; p++)
        assert_int_equal(strncmp(p, "@registry_long_", 15), 0);
}

static void
assert_has(const struct buf *b, const char *text)
{
    if (strstr(buf_text(b), text) == NULL)
        fail_msg("not in the configuration: %s", text);
}

static void
assert_has_not(const struct buf *b, const char *text)
{
    if (strstr(buf_text(b), text) != NULL)
        fail_msg("in the configuration: %s", text);
}

static void
assert_balanced(const struct buf *b)
{
    int depth = 0;
    for (size_t i = 0; i < b->n; i++) {
        depth += (b->p[i] == '{') - (b->p[i] == '}');
        assert_true(depth >= 0);
    }
    assert_int_equal(depth, 0);
}

/* Everything up to the } that stands at the same indentation. */
static void
assert_location_has(const struct buf *b, const char *start, const char *text)
{
    const char *from = strstr(buf_text(b), start);
    if (from == NULL)
        fail_msg("not in the configuration: %s", start);
    const char *line = from;
    while (line > b->p && line[-1] != '\n')
        line--;
    char end[64] = "\n";
    size_t blanks = (size_t)(from - line);
    assert_true(blanks + 3 < sizeof(end));
    memset(end + 1, ' ', blanks);
    end[blanks + 1] = '}';
    end[blanks + 2] = '\0';
    const char *to = strstr(from, end);
    const char *at = strstr(from, text);
    if (to == NULL || at == NULL || at > to)
        fail_msg("not in %s: %s", start, text);
}

static void
plain_configuration(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), 0);
    assert_expanded(&b);
    assert_balanced(&b);
    assert_has(&b, "\n        listen 0.0.0.0:8000 backlog=4096;\n");
    assert_has(&b, "\n        listen [::]:8000 backlog=4096;\n");
    assert_has(&b, "worker_processes 6;");
    assert_has(&b, "worker_rlimit_nofile 16384;");
    assert_has(&b, "worker_connections 4096;");
    assert_has(&b, "server unix:run/api.sock max_fails=0;");
    assert_has(&b, "auth_basic_user_file htpasswd;");
    assert_has(&b, "if (-f run/htpasswd)");
    assert_has(&b, "alias run/ui/index.html;");
    assert_has(&b, "location = / {");
    assert_has(&b, "client_max_body_size 0;");
    assert_has(&b, "error_log stderr warn;");
    assert_has_not(&b, "ssl");
    assert_has_not(&b, "\nuser ");
    buf_free(&b);
}

static void
tls_configuration(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    c.plain_n = 0;
    c.tls = one_tls;
    c.tls_n = 1;
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), 0);
    assert_balanced(&b);
    assert_has(&b, "listen 0.0.0.0:8443 ssl http2 backlog=4096;");
    assert_has_not(&b, "8000");
    assert_has(&b, "ssl_certificate tls.crt;");
    assert_has(&b, "ssl_certificate_key tls.key;");
    buf_free(&b);
}

static void
plain_and_tls_at_once(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    c.tls = one_tls;
    c.tls_n = 1;
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), 0);
    assert_has(&b, "listen 0.0.0.0:8000 backlog=4096;\n"
                   "        listen [::]:8000 backlog=4096;\n"
                   "        listen 0.0.0.0:8443 ssl http2 backlog=4096;\n");
    buf_free(&b);
}

static void
no_address_is_an_error(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    c.plain_n = 0;
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    buf_free(&b);
}

/* nginx refuses a number that is too large for it. */
static void
the_largest_blob_is_one_for_nginx(void **state)
{
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};

    (void)state;
    c.max_blob_size = UINT64_MAX;
    buf_init(&b, NGINX_CONF_MAX);
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), 0);
    assert_location_has(&b, "location ~ ^/v2/.+/blobs/uploads/?[^/]*\\z {",
                        "client_max_body_size 9223372036854775807;");
    buf_free(&b);
}

/* Uploads rely on these lines; each missing one has once been a hole. */
static void
traps_are_closed(void **state)
{
    (void)state;
    static const char upload[] = "location ~ ^/v2/.+/blobs/uploads/?[^/]*\\z {";
    static const char with_body[] = "location = /_registry_main/with_body {";
    static const char authorize[] = "location = /_registry_main/authorize {";
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    c.max_blob_size = 20971520;
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), 0);
    assert_location_has(&b, upload, "client_max_body_size 20971520;");
    assert_location_has(&b, upload, "auth_request /_registry_main/authorize;");
    assert_location_has(&b, upload, "fastcgi_pass_request_body off;");
    assert_location_has(&b, upload, "fastcgi_param ROLE $registry_role_main;");
    assert_location_has(&b, upload, "set $registry_path_main $uri;");
    assert_location_has(&b, with_body, "auth_request /_registry_main/ask;");
    assert_location_has(&b, with_body, "auth_basic $registry_realm_main;");
    assert_location_has(&b, with_body, "internal;");
    assert_location_has(&b, authorize, "fastcgi_param ROLE auth;");
    assert_location_has(&b, authorize, "fastcgi_param DOCUMENT_URI $registry_path_main;");
    assert_location_has(&b, "location ^~ /v2/ {", "satisfy all;");
    assert_location_has(&b, "location ^~ /v1/ {", "satisfy all;");
    assert_location_has(&b, "location / {", "satisfy all;");
    assert_location_has(&b, "location / {", "auth_basic off;");
    assert_location_has(&b, "location ^~ /_registry_main/ {", "internal;");
    assert_has_not(&b, "authentication required");
    buf_free(&b);
}

/* The same blocks, for an nginx that isn't ours. */
static void
blocks_for_another_nginx(void **state)
{
    (void)state;
    struct nginx_conf c = {
        .name = "team_2",
        .dir = "/srv/registry/",
        .blobs = "/srv/registry/layers",
        .sockets = "/run/registry/",
        .htpasswd = "/srv/registry/run/htpasswd",
        .version = "0.1.0",
    };
    struct buf b;
    struct err err = {0};
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_expand("@LOCATIONS@", &c, &b, &err), 0);
    assert_expanded(&b);
    assert_memory_equal(b.p, "location = /v2 {\n", 17);
    assert_balanced(&b);
    assert_has(&b, "alias /srv/registry/layers/;");
    assert_has(&b, "client_body_temp_path /srv/registry/uploads/body 1 2;");
    assert_has(&b, "client_body_temp_path /srv/registry/uploads/body/.;");
    assert_has(&b, "$registry_pool_team_2;");
    assert_has_not(&b, "listen");
    assert_has_not(&b, "location / ");

    buf_reset(&b);
    assert_int_equal(nginx_conf_expand("@HTTP@", &c, &b, &err), 0);
    assert_has(&b, "server unix:/run/registry/bulk.sock");
    buf_free(&b);
}

/* The site around us knows the users: nothing of ours may stand in its way, or believe a header. */
static void
trust_leaves_passwords_to_the_site(void **state)
{
    (void)state;
    static const char upload[] = "location ~ ^/v2/.+/blobs/uploads/?[^/]*\\z {";
    struct nginx_conf c = {
        .name = "b",
        .dir = "/srv/registry/",
        .blobs = "/srv/registry/layers",
        .sockets = "/run/registry/",
        .htpasswd = "/srv/registry/run/htpasswd",
        .version = "0.1.0",
        .trust_remote_user = true,
    };
    struct buf b;
    struct err err = {0};
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_expand("@HTTP@\n@LOCATIONS@", &c, &b, &err), 0);
    assert_expanded(&b);
    assert_balanced(&b);
    assert_has_not(&b, "$remote_user");
    assert_has_not(&b, "auth_basic_user_file");
    assert_has_not(&b, "$registry_users_b");
    assert_has_not(&b, "$registry_realm_b");
    assert_location_has(&b, "location ^~ /v2/ {", "REMOTE_USER $registry_remote_user_b;");
    assert_location_has(&b, "location ^~ /v2/ {", "satisfy all;");
    assert_location_has(&b, upload, "REMOTE_USER $registry_remote_user_b;");
    assert_location_has(&b, upload, "auth_request /_registry_b/authorize;");
    /* else an error page of ours would be refused, too */
    assert_location_has(&b, "location ^~ /_registry_b/ {", "auth_basic off;");
    const char *first = strstr(buf_text(&b), "auth_basic");
    assert_non_null(first);
    assert_null(strstr(first + 1, "auth_basic"));
    buf_free(&b);
}

static void
origins_are_compared_whole(void **state)
{
    (void)state;
    static const char *const named[] = {"https://ui.example.com", "http://[::1]:8080"};
    static const char *const both[] = {"*", "https://ui.example.com"};
    static const char *const bad[] = {"https://a\"; b"};
    struct nginx_conf c = standalone();
    struct err err = {0};
    struct buf b;
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_expand("@HTTP@", &c, &b, &err), 0);
    assert_has_not(&b, "\"~^v\" \"*\";");
    assert_has_not(&b, "\"~^v\" Origin;");
    c.cors = named;
    c.cors_n = 2;
    buf_reset(&b);
    assert_int_equal(nginx_conf_expand("@HTTP@", &c, &b, &err), 0);
    assert_has(&b, "\"~^v[12] 1? https://ui\\.example\\.com$\" \"https://ui.example.com\";");
    assert_has(&b, "\"~^v[12] 1? http://\\[::1\\]:8080$\" \"http://[::1]:8080\";");
    assert_has_not(&b, "\"~^v\" \"*\";");
    assert_has(&b, "\"~^v\" Origin;");
    c.cors = both;
    buf_reset(&b);
    assert_int_equal(nginx_conf_expand("@HTTP@", &c, &b, &err), 0);
    assert_has(&b, "\"https://ui.example.com\";\n    \"~^v\" \"*\";");
    assert_has(&b, "\"~^v\" Origin;");
    c.cors = bad;
    c.cors_n = 1;
    buf_reset(&b);
    assert_int_equal(nginx_conf_expand("@HTTP@", &c, &b, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    buf_free(&b);
}

static void
expansion(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct buf b;
    struct err err = {0};
    buf_init(&b, NGINX_CONF_MAX);

    assert_int_equal(nginx_conf_expand("# no\na_@NAME@_@NOFILE@;\n\n\n{\n  b;\n}\n", &c, &b, &err),
                     0);
    assert_string_equal(buf_text(&b), "a_main_16384;\n\n{\n  b;\n}\n");
    buf_free(&b);
}

static void
unknown_names_are_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {"a @NO_SUCH@;", "a @;", "@name@", "@NAME", "@ADDRESS@", "@@"};
    struct nginx_conf c = standalone();

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct err err = {0};
        struct buf b;
        buf_init(&b, NGINX_CONF_MAX);
        assert_int_equal(nginx_conf_expand(bad[i], &c, &b, &err), -1);
        assert_int_equal(err.code, ERR_CORRUPT);
        buf_free(&b);
    }
}

static void
values_cannot_break_out(void **state)
{
    (void)state;
    static const char *const bad_address[] = {"0.0.0.0:80; user root"};
    struct err err = {0};
    struct buf b;
    struct nginx_conf c;
    buf_init(&b, NGINX_CONF_MAX);

    c = standalone();
    c.name = "Main";
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    assert_non_null(strstr(err.message, "NAME"));
    c = standalone();
    c.name = "";
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    c = standalone();
    c.dir = "/srv/a b/";
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    c = standalone();
    c.dir = "/srv/$host/";
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    c = standalone();
    c.plain = bad_address;
    c.plain_n = 1;
    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    buf_free(&b);
}

static void
a_full_buffer_is_an_error(void **state)
{
    (void)state;
    struct nginx_conf c = standalone();
    struct err err = {0};
    struct buf b;
    buf_init(&b, 1000);

    assert_int_equal(nginx_conf_standalone(&c, &b, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_configuration),
        cmocka_unit_test(tls_configuration),
        cmocka_unit_test(plain_and_tls_at_once),
        cmocka_unit_test(no_address_is_an_error),
        cmocka_unit_test(the_largest_blob_is_one_for_nginx),
        cmocka_unit_test(traps_are_closed),
        cmocka_unit_test(blocks_for_another_nginx),
        cmocka_unit_test(trust_leaves_passwords_to_the_site),
        cmocka_unit_test(origins_are_compared_whole),
        cmocka_unit_test(expansion),
        cmocka_unit_test(unknown_names_are_errors),
        cmocka_unit_test(values_cannot_break_out),
        cmocka_unit_test(a_full_buffer_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
