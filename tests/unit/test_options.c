#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "process/options/options_help.h"
#include "process/options/options_parse.h"
#include "storage/layers/layer_scan.h"

#define ARGS_MAX 80
#define NAME_OF_16 "0123456789abcdef"
#define NAME_OF_48 NAME_OF_16 NAME_OF_16 NAME_OF_16
#define NAME_OF_144 NAME_OF_48 NAME_OF_48 NAME_OF_48

/* Parses copies of the arguments, up to NULL; they stay in args. */
static char *args[ARGS_MAX];
static int args_n;

static void
forget_args(void)
{
    for (int i = 0; i < args_n; i++)
        free(args[i]);
    args_n = 0;
}

static int
parse(struct options *o, struct err *err, ...)
{
    va_list ap;
    forget_args();
    args[args_n++] = strdup("docker-registry-server");
    va_start(ap, err);
    for (const char *a; (a = va_arg(ap, const char *)) != NULL;)
        args[args_n++] = strdup(a);
    va_end(ap);
    args[args_n] = NULL;
    return options_parse(o, args_n, args, err);
}

static int
set_up(void **state)
{
    (void)state;
    return unsetenv("PORT");
}

static int
tear_down(void **state)
{
    (void)state;
    forget_args();
    return 0;
}

static void
without_options_there_are_defaults(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, NULL), 0);
    assert_string_equal(o.dir, ".");
    assert_int_equal(o.ports.n, 1);
    assert_string_equal(o.ports.v[0], "8000");
    assert_int_equal(o.users.n, 0);
    assert_int_equal(o.listen.n, 0);
    assert_true(o.workers >= 4);
    assert_true(o.bulk_workers >= 2);
    assert_int_equal(o.lease_ms, 3600 * 1000);
    assert_int_equal(o.upload_expiry_ms, 24 * 3600 * 1000);
    assert_int_equal(o.gc_interval_ms, 60 * 1000);
    assert_int_equal(o.max_blob_size, 0);
    assert_int_equal(o.max_repositories, 100000);
    assert_int_equal(o.max_tags, 100000);
    assert_true(o.index_jobs >= 1);
    assert_int_equal(o.index_memory, 512 << 20);
    assert_int_equal(o.index_time_ms, 600000);
    assert_int_equal(o.index_max_entries, 500000);
    assert_int_equal(o.index_max_depth, 256);
    assert_int_equal(o.index_max_output, UINT64_C(64) << 30);
    assert_int_equal(o.index_max_ratio, 200);
    assert_int_equal(o.index_max_entries, layer_scan_defaults.tree.entries);
    assert_int_equal(o.index_max_depth, layer_scan_defaults.tree.depth);
    assert_int_equal(o.index_max_output, layer_scan_defaults.output);
    assert_int_equal(o.index_max_ratio, layer_scan_defaults.ratio);
    assert_int_equal(o.max_uploads, 100);
    assert_int_equal(o.max_connections_per_address, 1024);
    assert_int_equal(o.max_wrong_passwords, 100);
    assert_int_equal(o.log_level, LOG_INFO);
    assert_null(o.run_as);
    options_free(&o);
}

static void
a_command_may_have_words_among_its_options(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "user", "add", "--dir", "x", "ann", NULL), 0);
    assert_string_equal(o.command, "user");
    assert_int_equal(o.words.n, 2);
    assert_string_equal(o.words.v[0], "add");
    assert_string_equal(o.words.v[1], "ann");
    assert_string_equal(o.dir, "x");
    options_free(&o);
    assert_int_equal(parse(&o, &err, "-dx", NULL), 0);
    assert_string_equal(o.command, "serve");
    options_free(&o);
}

static void
values_come_in_four_forms(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "serve", "-p5000", "-p", "5001", "--port=5002", "--port",
                           "5003", "-dx", "--max-blob-size", "2K", "--log-level=debug", NULL),
                     0);
    assert_int_equal(o.ports.n, 4);
    for (int i = 0; i < 4; i++)
        assert_int_equal(strtol(o.ports.v[i], NULL, 10), 5000 + i);
    assert_string_equal(o.dir, "x");
    assert_int_equal(o.max_blob_size, 2048);
    assert_int_equal(o.log_level, LOG_DEBUG);
    options_free(&o);
}

static void
the_port_of_the_environment_counts_when_none_is_given(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    setenv("PORT", "7000", 1);
    assert_int_equal(parse(&o, &err, NULL), 0);
    assert_string_equal(o.ports.v[0], "7000");
    options_free(&o);
    assert_int_equal(parse(&o, &err, "-p", "1", NULL), 0);
    assert_int_equal(o.ports.n, 1);
    assert_string_equal(o.ports.v[0], "1");
    options_free(&o);
    setenv("PORT", "http", 1);
    assert_int_equal(parse(&o, &err, NULL), -1);
    assert_non_null(strstr(err.message, "http"));
    options_free(&o);
}

static void
tls_alone_opens_no_plain_port(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "--tls-cert=c", "--tls-key=k", "--tls-port=443", NULL), 0);
    assert_int_equal(o.ports.n, 0);
    assert_int_equal(o.tls_ports.n, 1);
    options_free(&o);
}

static void
passwords_are_blanked_in_the_arguments(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "-u", "ann:one:two", "--user=bob:three", "-ucid:four", NULL),
                     0);
    assert_int_equal(o.users.n, 3);
    assert_string_equal(o.users.v[0], "ann:one:two");
    assert_string_equal(o.users.v[1], "bob:three");
    assert_string_equal(o.users.v[2], "cid:four");
    for (int i = 1; i < args_n; i++) {
        assert_null(strstr(args[i], "one"));
        assert_null(strstr(args[i], "three"));
        assert_null(strstr(args[i], "four"));
    }
    options_forget_users(&o);
    assert_int_equal(o.users.n, 3);
    assert_null(o.users.v[0]);
    options_free(&o);
}

static void
a_refused_user_is_blanked_too_and_stays_out_of_the_message(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "-u", ":secret", NULL), -1);
    assert_null(strstr(args[2], "secret"));
    assert_null(strstr(err.message, "secret"));
    options_free(&o);
}

/* Each is refused, and the message names the thing. */
static void
nonsense_is_refused_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *args[3];
        const char *named;
    } cases[] = {
        {{"--nonsense"}, "--nonsense"},
        {{"--nonsense=3"}, "--nonsense"},
        {{"-x"}, "-x"},
        {{"-"}, "-"},
        {{"--"}, "--"},
        {{"--port"}, "--port"},
        {{"--dir", "--port"}, "--dir"},
        {{"--dir="}, "--dir"},
        {{"--port", "65536"}, "65536"},
        {{"--port", "-1"}, "-1"},
        {{"--port", "80a"}, "80a"},
        {{"-p=1"}, "=1"},
        {{"--workers", "0"}, "--workers"},
        {{"--workers", "101"}, "101"},
        {{"--lease", "1w"}, "1w"},
        {{"--gc-interval", "0"}, "--gc-interval"},
        {{"--max-blob-size", "1E"}, "1E"},
        {{"--log-level", "loud"}, "loud"},
        {{"--hook-jobs", "0"}, "1 to 100"},
        {{"--hook-retries", "101"}, "0 to 100"},
        {{"--hook-timeout", "0"}, "--hook-timeout"},
        {{"--index-jobs", "0"}, "1 to 100"},
        {{"--index-memory", "127M"}, "128M"},
        {{"--index-time", "0"}, "--index-time"},
        {{"--token-lifetime", "59s"}, "from 1m to 24h"},
        {{"--token-lifetime", "25h"}, "from 1m to 24h"},
        {{"--token-lifetime", "x"}, "from 1m to 24h"},
        {{"--index-max-entries", "0"}, "1 to 1000000000"},
        {{"--index-max-depth", "1000000001"}, "1 to 1000000000"},
        {{"--index-max-output", "much"}, "much"},
        {{"--index-max-ratio", "x"}, "--index-max-ratio"},
        {{"--on-push", "true"}, "--on-push"},
        {{"--on-tag"}, "--on-tag"},
        {{"--on-tag="}, "--on-tag"},
        {{"--hooks="}, "--hooks"},
        {{"--listen", "nowhere"}, "nowhere"},
        {{"--listen", "1.2.3"}, "1.2.3"},
        {{"--user", "ann"}, "--user"},
        {{"--user", "ann:"}, "--user"},
        {{"--user", "a\tb:c"}, "--user"},
        {{"--user", "#ann:c"}, "--user"},
        {{"--user", NAME_OF_144 ":c"}, "128"},
        {{"serve", "here"}, "here"},
        {{"--help=1"}, "--help"},
        {{"--tls-cert", "c"}, "--tls-key"},
        {{"--tls-key", "k"}, "--tls-cert"},
        {{"--tls-port", "443"}, "--tls-cert"},
        {{"--config", "/nowhere/at/all"}, "/nowhere/at/all"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options o;
        struct err err;
        assert_int_equal(parse(&o, &err, cases[i].args[0], cases[i].args[1], NULL), -1);
        if (strstr(err.message, cases[i].named) == NULL)
            fail_msg("%s isn't in: %s", cases[i].named, err.message);
        options_free(&o);
    }
}

static void
one_port_is_not_both_plain_and_tls(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(
        parse(&o, &err, "--tls-cert=c", "--tls-key=k", "--tls-port=0443", "--port=443", NULL), -1);
    assert_non_null(strstr(err.message, "443"));
    options_free(&o);
    assert_int_equal(
        parse(&o, &err, "--tls-cert=c", "--tls-key=k", "--tls-port=0", "--port=0", NULL), 0);
    options_free(&o);
}

static void
addresses_may_have_brackets(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "--listen", "[::1]", "--listen=::1", "--listen", "127.0.0.1",
                           "--listen", "localhost", NULL),
                     0);
    assert_int_equal(o.listen.n, 4);
    assert_string_equal(o.listen.v[0], "::1");
    assert_string_equal(o.listen.v[1], "::1");
    options_free(&o);
}

static void
too_many_of_one_are_refused(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    char *many[OPTIONS_MANY_MAX + 3];
    char text[] = "-p1";
    int n = 0;
    many[n++] = text;
    for (int i = 0; i < OPTIONS_MANY_MAX; i++)
        many[n++] = text;
    assert_int_equal(options_parse(&o, n, many, &err), 0);
    options_free(&o);
    many[n++] = text;
    assert_int_equal(options_parse(&o, n, many, &err), -1);
    options_free(&o);
}

/* ---- the file ---- */

static char path[] = "/tmp/test_options.XXXXXX";

static void
write_file(const char *text)
{
    memcpy(path + sizeof path - 7, "XXXXXX", 6);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
}

static void
the_command_line_wins_and_repeatable_ones_add_up(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    write_file("# ours\n\nport = 6000\nport=6001\ndir=/from/file\nlease = 5m\nuser = ann:a b#c \n"
               "lease=7m\n");
    assert_int_equal(parse(&o, &err, "--config", path, "-p", "5000", "-d", "here", NULL), 0);
    assert_int_equal(o.ports.n, 3);
    assert_string_equal(o.ports.v[0], "5000");
    assert_string_equal(o.ports.v[2], "6001");
    assert_string_equal(o.dir, "here");
    assert_int_equal(o.lease_ms, 7 * 60 * 1000);
    assert_string_equal(o.users.v[0], "ann:a b#c");
    options_free(&o);
    unlink(path);
}

static void
each_hook_has_a_script_of_its_own(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    write_file("on-tag = from file\non-pre-tag = echo \"$1\" # all of it\nhook-retries = 0\n");
    assert_int_equal(parse(&o, &err, "--config", path, "--on-tag", "echo $2", "--on-untag=x",
                           "--hooks", "/etc/hooks/", NULL),
                     0);
    assert_string_equal(o.on[HOOK_TAG], "echo $2");
    assert_string_equal(o.on[HOOK_UNTAG], "x");
    assert_string_equal(o.on[HOOK_PRE_TAG], "echo \"$1\" # all of it");
    assert_null(o.on[HOOK_IMAGE]);
    assert_string_equal(o.hooks, "/etc/hooks");
    assert_int_equal(o.hook_retries, 0);
    assert_int_equal(o.hook_jobs, 4);
    assert_int_equal(o.hook_timeout_ms, 600 * 1000);
    assert_int_equal(o.pre_hook_timeout_ms, 30 * 1000);
    assert_int_equal(o.event_keep_ms, 30ull * 24 * 3600 * 1000);
    options_free(&o);
    unlink(path);
}

/* The kernel takes no longer argument; from here it would be the hook that fails, each time. */
static void
a_script_that_is_too_long_is_refused(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    char *script = malloc(HOOK_SCRIPT_MAX + 2);
    assert_non_null(script);
    memset(script, ' ', HOOK_SCRIPT_MAX + 1);
    script[HOOK_SCRIPT_MAX + 1] = '\0';
    assert_int_equal(parse(&o, &err, "--on-tag", script, NULL), -1);
    assert_non_null(strstr(err.message, "--on-tag"));
    options_free(&o);
    assert_int_equal(parse(&o, &err, "--on-tag", script + 1, NULL), 0);
    options_free(&o);
    free(script);
}

static void
a_wrong_line_is_named_with_file_and_number(void **state)
{
    (void)state;
    static const char *const texts[] = {"#\nprot=1\n",   "#\nport=x\n", "#\nport\n",    "#\nhelp\n",
                                        "#\nconfig=x\n", "#\n=x\n",     "#\n--port=1\n"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct options o;
        struct err err;
        write_file(texts[i]);
        assert_int_equal(parse(&o, &err, "--config", path, NULL), -1);
        if (strstr(err.message, path) == NULL || strstr(err.message, "line 2") == NULL)
            fail_msg("no file or line in: %s", err.message);
        options_free(&o);
        unlink(path);
    }
}

static void
a_flag_stands_alone_on_its_line(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    write_file("fastcgi = s\ntrust-remote-user\n");
    assert_int_equal(parse(&o, &err, "--config", path, NULL), 0);
    assert_true(o.trust_remote_user);
    options_free(&o);
    unlink(path);
    write_file("fastcgi = s\ntrust-remote-user = yes\n");
    assert_int_equal(parse(&o, &err, "--config", path, NULL), -1);
    assert_non_null(strstr(err.message, "line 2"));
    options_free(&o);
    unlink(path);
}

/* ---- somebody else's nginx ---- */

static void
fastcgi_opens_no_port(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    char here[4096], want[4200];
    setenv("PORT", "7000", 1); /* of no concern */
    assert_int_equal(parse(&o, &err, "--fastcgi", "./run//sockets/", NULL), 0);
    assert_int_equal(o.ports.n, 0);
    assert_string_equal(o.fastcgi, "./run//sockets/");
    snprintf(want, sizeof want, "%s/run/sockets/", getcwd(here, sizeof here));
    assert_string_equal(o.sockets, want);
    assert_string_equal(o.name, "main");
    assert_null(o.base_url);
    options_free(&o);
}

static void
names_of_sockets_have_107_bytes_at_most(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    char dir[128];
    memset(dir, 'x', sizeof dir);
    dir[0] = '/';
    dir[107 - strlen("/herald.sock")] = '\0';
    assert_int_equal(parse(&o, &err, "--fastcgi", dir, NULL), 0);
    options_free(&o);
    dir[107 - strlen("/herald.sock")] = 'x';
    dir[107 - strlen("/herald.sock") + 1] = '\0';
    assert_int_equal(parse(&o, &err, "--fastcgi", dir, NULL), -1);
    assert_non_null(strstr(err.message, "107"));
    options_free(&o);
}

/* Each is refused, and the message names the thing. */
static void
what_is_the_other_nginx_s_is_refused(void **state)
{
    (void)state;
    static const struct {
        const char *args[4];
        const char *named;
    } cases[] = {
        {{"--fastcgi=s", "--port=1"}, "--port"},
        {{"--fastcgi=s", "--listen=::1"}, "--listen"},
        {{"--fastcgi=s", "--tls-port=1"}, "--tls-port"},
        {{"--fastcgi=s", "--tls-cert=c"}, "--tls-cert"},
        {{"--fastcgi=s", "--tls-key=k"}, "--tls-key"},
        {{"--fastcgi=s", "--user=a:b", "--trust-remote-user"}, "--user"},
        {{"--trust-remote-user"}, "--fastcgi"},
        {{"--http"}, "print-nginx-conf"},
        {{"--fastcgi=s", "--server"}, "print-nginx-conf"},
        {{"--name", "A"}, "--name"},
        {{"--name", "a-b"}, "--name"},
        {{"--name", "aaaaaaaaaaaaaaaaaaaaaaa"}, "--name"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct options o;
        struct err err;
        const char *const *a = cases[i].args;
        assert_int_equal(parse(&o, &err, a[0], a[1], a[2], NULL), -1);
        if (strstr(err.message, cases[i].named) == NULL)
            fail_msg("%s isn't in: %s", cases[i].named, err.message);
        options_free(&o);
    }
}

static void
flags_do_not_end_the_parsing(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "print-nginx-conf", "--http", "--fastcgi=s", "--name=b_2",
                           "--trust-remote-user", "--server", "--dir", "x", NULL),
                     0);
    assert_true(o.http_part && o.server_part && o.trust_remote_user);
    assert_string_equal(o.name, "b_2");
    assert_string_equal(o.dir, "x");
    options_free(&o);
}

static void
a_command_refuses_options_of_other_commands(void **state)
{
    (void)state;
    static const char *const cases[][3] = {
        {"hooks", "--port=1", "hooks"},     {"user", "--user=a:secret", "user"},
        {"import", "--output=x", "import"}, {"export", "--prefix=x", "export"},
        {"help", "--dir=x", "help"},        {"serve", "--json", "hooks"},
    };
    struct options o;
    struct err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(parse(&o, &err, cases[i][0], cases[i][1], NULL), -1);
        assert_non_null(strstr(err.message, cases[i][2]));
        assert_null(strstr(err.message, "secret"));
        options_free(&o);
    }
    assert_int_equal(parse(&o, &err, "print-nginx-conf", "--fastcgi=s", "--workers=2", NULL), 0);
    options_free(&o);
    write_file("port = 6000\nuser = ann:secret\n"); /* of the server, and may be of no concern */
    assert_int_equal(parse(&o, &err, "hooks", "--json", "--config", path, NULL), 0);
    options_free(&o);
    unlink(path);
}

static void
a_base_url_is_scheme_host_and_port(void **state)
{
    (void)state;
    static const char *const good[][2] = {
        {"http://a", "http://a"},
        {"HTTPS://registry.example.com/", "HTTPS://registry.example.com"},
        {"https://a-b:8443", "https://a-b:8443"},
        {"https://[::1]:1/", "https://[::1]:1"},
        {"http://127.0.0.1:65535", "http://127.0.0.1:65535"},
    };
    static const char *const bad[] = {
        "registry.example.com", "ftp://a",      "http://",        "http:///",     "http://a/b",
        "http://a//",           "http://a?b",   "http://a#b",     "http://u@a",   "http://a:",
        "http://a:0",           "http://a:x",   "http://a:65536", "http://[::1",  "http://[a]",
        "http://a b",           "http://a\r\n", "http://[]",      "http://a:1:2",
    };
    struct options o;
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (parse(&o, &err, "--base-url", good[i][0], NULL) != 0)
            fail_msg("%s", err.message);
        assert_string_equal(o.base_url, good[i][1]);
        options_free(&o);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(&o, &err, "--base-url", bad[i], NULL) != -1)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(strstr(err.message, "--base-url"));
        options_free(&o);
    }
}

static void
an_origin_is_as_browsers_send_it(void **state)
{
    (void)state;
    static const char *const good[] = {
        "*",
        "https://ui.example.com",
        "http://localhost:8080",
        "http://[::1]:8080",
        "https://10.0.0.1",
        "https://a.example:80",
        "chrome-extension://abcdef",
    };
    static const char *const bad[] = {
        "ui.example.com",
        "https://ui.example.com/",
        "https://UI.example.com",
        "https://",
        "https://a/b",
        "null",
        "HTTPS://a",
        "https://a:443",
        "http://a:80",
        "http://a:x",
        "https://a b",
        "https://*.a",
        "https://a,http://b",
        "://a",
        "1http://a",
        "http:/a",
        "https://a\"",
        "https://a$b",
        "https://u@a",
        "https://[::1",
    };
    struct options o;
    struct err err;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        if (parse(&o, &err, "--cors", good[i], "--cors=*", NULL) != 0)
            fail_msg("%s", err.message);
        assert_int_equal(o.cors.n, 2);
        assert_string_equal(o.cors.v[0], good[i]);
        options_free(&o);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (parse(&o, &err, "--cors", bad[i], NULL) != -1)
            fail_msg("taken: %s", bad[i]);
        assert_non_null(strstr(err.message, "--cors"));
        options_free(&o);
    }
}

/* ---- help ---- */

static void
help_begins_as_it_always_did(void **state)
{
    (void)state;
    static const char first[] = "Usage: docker-registry-server [options]\n"
                                "\n"
                                "  --port, -p  [port]       port to listen on\n"
                                "  --dir,  -d  [directory]  set directory to store data in\n"
                                "  --user, -u  [user:pass]  authenticate access\n"
                                "  --on-{hook} [script]     specify a hook\n";
    char *text = NULL;
    size_t n = 0;
    FILE *to = open_memstream(&text, &n);
    assert_non_null(to);
    options_help(to);
    fclose(to);
    assert_true(n > strlen(first));
    assert_memory_equal(text, first, strlen(first));
    assert_string_equal(text + n - 2, "\n\n");
    free(text);
}

static void
help_ends_the_parsing(void **state)
{
    (void)state;
    struct options o;
    struct err err;
    assert_int_equal(parse(&o, &err, "--help", "--nonsense", NULL), 0);
    assert_true(o.help);
    options_free(&o);
    assert_int_equal(parse(&o, &err, "--version", NULL), 0);
    assert_true(o.version);
    options_free(&o);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_options_there_are_defaults),
        TEST(a_command_may_have_words_among_its_options),
        TEST(values_come_in_four_forms),
        TEST(the_port_of_the_environment_counts_when_none_is_given),
        TEST(tls_alone_opens_no_plain_port),
        TEST(passwords_are_blanked_in_the_arguments),
        TEST(a_refused_user_is_blanked_too_and_stays_out_of_the_message),
        TEST(nonsense_is_refused_by_name),
        TEST(one_port_is_not_both_plain_and_tls),
        TEST(addresses_may_have_brackets),
        TEST(too_many_of_one_are_refused),
        TEST(the_command_line_wins_and_repeatable_ones_add_up),
        TEST(each_hook_has_a_script_of_its_own),
        TEST(a_script_that_is_too_long_is_refused),
        TEST(a_wrong_line_is_named_with_file_and_number),
        TEST(a_flag_stands_alone_on_its_line),
        TEST(fastcgi_opens_no_port),
        TEST(names_of_sockets_have_107_bytes_at_most),
        TEST(what_is_the_other_nginx_s_is_refused),
        TEST(flags_do_not_end_the_parsing),
        TEST(a_command_refuses_options_of_other_commands),
        TEST(a_base_url_is_scheme_host_and_port),
        TEST(an_origin_is_as_browsers_send_it),
        TEST(help_begins_as_it_always_did),
        TEST(help_ends_the_parsing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
