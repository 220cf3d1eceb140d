#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "process/nginx/nginx_log.h"
#include "util/log.h"

static void
lines_lose_what_the_log_gives_anyway(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        const char *severity;
        const char *text;
    } cases[] = {
        {"2026/11/23 17:00:00 [warn] 12#12: *3 a client sent [x] y", "warn",
         "*3 a client sent [x] y"},
        {"2026/11/23 17:00:00 [alert] 12#0: worker process 13 exited on signal 9", "alert",
         "worker process 13 exited on signal 9"},
        {"nginx: [emerg] cannot load certificate", "emerg", "cannot load certificate"},
        {"2026/11/23 17:00:00 [notice] no numbers", "notice", "no numbers"},
        {"something else", "", "something else"},
        {"GET /[alert] 1#1: x", "", "GET /[alert] 1#1: x"},
        {"[warn", "", "[warn"},
        {"nginx: [Warn] x", "", "nginx: [Warn] x"},
        {"nginx: [warn]x", "", "nginx: [warn]x"},
        {"2026/11/23 17.00.00 [alert] a name", "", "2026/11/23 17.00.00 [alert] a name"},
        {"", "", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char line[200];
        const char *severity;
        snprintf(line, sizeof line, "%s", cases[i].line);
        assert_string_equal(nginx_log_split(line, &severity), cases[i].text);
        assert_string_equal(severity, cases[i].severity);
    }
}

static void
open_log(struct nginx_log *l, int *writer)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    nginx_log_init(l, -1, NULL);
    nginx_log_open(l, ends[0]);
    *writer = ends[1];
}

static void
say(int writer, const char *text)
{
    assert_int_equal(write(writer, text, strlen(text)), strlen(text));
}

static void
the_last_emergency_is_kept_also_in_pieces(void **state)
{
    (void)state;
    struct nginx_log l;
    int writer;
    open_log(&l, &writer);
    say(writer, "nginx: [emerg] first\nnginx: [eme");
    nginx_log_read(&l);
    assert_string_equal(l.worst, "first");
    say(writer, "rg] second\nnginx: [warn] third");
    nginx_log_read(&l);
    assert_string_equal(l.worst, "second");
    close(writer);
    nginx_log_close(&l);
    assert_int_equal(l.fd, -1);
    assert_string_equal(l.worst, "second");
}

/* The lines of our log that nginx's lines become. */
static size_t
count_relayed(const char *nginx_says, int times)
{
    struct nginx_log l;
    int writer, ends[2], saved = dup(STDERR_FILENO);
    static char text[1 << 16];
    size_t lines = 0;
    ssize_t n;
    open_log(&l, &writer);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    close(ends[1]);
    log_set_level(LOG_WARN);
    for (int i = 0; i < times; i++)
        say(writer, nginx_says);
    close(writer);
    nginx_log_close(&l);
    log_set_level(LOG_ERROR);
    dup2(saved, STDERR_FILENO);
    close(saved);
    while ((n = read(ends[0], text, sizeof text)) > 0)
        for (ssize_t i = 0; i < n; i++)
            lines += text[i] == '\n';
    close(ends[0]);
    return lines;
}

static void
a_flood_is_left_out(void **state)
{
    (void)state;
    log_limit_client_lines(20, 1000000);
    assert_int_equal(count_relayed("nginx: [warn] x\n", 1000), 20);
    assert_int_equal(count_relayed("nginx: [crit] x\n", 1000), 20);
    assert_int_equal(count_relayed("nginx: [error] x\n", 1000), 0);
}

static void
a_buffered_body_is_no_warning(void **state)
{
    (void)state;
    log_limit_client_lines(20, 1000000);
    assert_int_equal(count_relayed("2026/11/23 17:00:00 [warn] 12#12: *3 a client request body is "
                                   "buffered to a temporary file ./uploads/body/1, client: x\n",
                                   3),
                     0);
    assert_int_equal(count_relayed("2026/11/23 17:00:00 [warn] 12#12: *3 else\n", 1), 1);
}

#define LINE "2026/11/23 17:00:00 [error] 12#12: *3 "

static void
wrong_passwords_are_counted(void **state)
{
    static const char *const others[] = {
        "*3 a user \"ann\": password mismatch, client: 192.0.2.1, server: _",
        "*3 open() \"x\" failed, client: 192.0.2.1, request: \"GET /user \"a\": password mismatch, "
        "client: 192.0.2.2, \"",
        "*3 user \"ann\" sent something, client: 192.0.2.1",
        "",
    };
    struct wrong_passwords w = {0};

    (void)state;
    log_limit_client_lines(100, 1000000);
    assert_int_equal(count_relayed(LINE
                                   "user \"ann\": password mismatch, client: 192.0.2.1, server: "
                                   "_, request: \"GET /v2/ HTTP/1.1\", host: \"x\"\n",
                                   300),
                     3); /* 1, 10, 100 */
    log_limit_client_lines(0, 1000000);
    assert_int_equal(count_relayed(LINE "user \"a\": password mismatch, client: 192.0.2.1, x\n", 1),
                     1); /* other lines can't hide it */
    log_limit_client_lines(100, 1000000);
    assert_true(wrong_passwords_take(
        &w, "*3 user \"ann\": password mismatch, client: 192.0.2.1, server: _", 1000));
    assert_string_equal(w.of[0].address, "192.0.2.1");
    assert_string_equal(w.of[0].user, "ann");
    assert_int_equal(w.of[0].times, 0); /* it was logged */
    for (int i = 0; i < 5; i++)
        assert_true(wrong_passwords_take(&w,
                                         "*4 user \"x\" was not found in \"y\" was not found in "
                                         "\"./run/htpasswd\", client: 192.0.2.1, server: _",
                                         2000));
    assert_int_equal(w.of[0].times, 5);
    assert_string_equal(w.of[0].user, "x");
    assert_true(wrong_passwords_take(
        &w, "*5 user \"\": password mismatch, client: 2001:db8::1, server: _", 3000));
    assert_string_equal(w.of[1].address, "2001:db8::1");
    wrong_passwords_tell(&w, 60000);
    assert_int_equal(w.of[0].times, 5);
    wrong_passwords_tell(&w, 61000);
    assert_int_equal(w.of[0].times, 0);
    wrong_passwords_tell(&w, 125000);
    assert_string_equal(w.of[0].address, "");
    for (size_t i = 0; i < sizeof others / sizeof *others; i++)
        assert_false(wrong_passwords_take(&w, others[i], 0));
}

static void
many_wrong_passwords_are_logged_before_the_minute_is_over(void **state)
{
    struct wrong_passwords w = {0};
    unsigned rest[] = {0, 1, 9, 0, 99, 0, 0};
    unsigned more[] = {1, 1, 8, 1, 99, 1, 1000};

    (void)state;
    for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
        for (unsigned n = 0; n < more[i]; n++)
            assert_true(wrong_passwords_take(
                &w, "*3 user \"ann\": password mismatch, client: 192.0.2.1, server: _", 1000));
        assert_int_equal(w.of[0].times, rest[i]);
    }
    wrong_passwords_take(&w, "*3 user \"ann\": password mismatch, client: 192.0.2.1, x", 1000);
    wrong_passwords_tell(&w, 61000);
    assert_int_equal(w.of[0].times, 0);
    for (unsigned n = 0; n < 9; n++)
        wrong_passwords_take(&w, "*3 user \"ann\": password mismatch, client: 192.0.2.1, x", 62000);
    assert_int_equal(w.of[0].times, 9);
    wrong_passwords_take(&w, "*3 user \"ann\": password mismatch, client: 192.0.2.1, x", 62000);
    assert_int_equal(w.of[0].times, 0); /* and so in each minute */
}

static void
many_addresses_are_counted_together(void **state)
{
    struct wrong_passwords w = {0};
    char text[100];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "*3 user \"ann\": password mismatch, client: 2001:db8::%x, x",
                 i);
        assert_true(wrong_passwords_take(&w, text, 0));
    }
    assert_string_equal(w.of[WRONG_PASSWORDS_ADDRESSES].address, "others");
    /* 111 of them were logged: 1, 10 and 100. */
    assert_int_equal(w.of[WRONG_PASSWORDS_ADDRESSES].times, 1000 - WRONG_PASSWORDS_ADDRESSES - 111);
}

static void
a_full_disk_is_told_by_others(void **state)
{
    (void)state;
    log_limit_client_lines(20, 1000000);
    assert_int_equal(
        count_relayed("2026/11/23 17:00:00 [crit] 12#12: *3 pwrite() \"./uploads/body/1\" "
                      "failed (28: No space left on device), client: x\n",
                      3),
        0);
    assert_int_equal(count_relayed("2026/11/23 17:00:00 [crit] 12#12: *3 x, client: x, request: "
                                   "\"GET /(28: No space left on device)\"\n",
                                   3),
                     3);
}

static void
a_long_line_is_cut(void **state)
{
    (void)state;
    struct nginx_log l;
    int writer;
    char text[3000];
    open_log(&l, &writer);
    memset(text, 'x', sizeof text);
    memcpy(text, "nginx: [emerg] ", 15);
    text[sizeof text - 2] = '\n';
    text[sizeof text - 1] = '\0';
    say(writer, text);
    nginx_log_read(&l);
    assert_true(strlen(l.worst) < NGINX_LOG_LINE_MAX);
    assert_true(strlen(l.worst) > NGINX_LOG_LINE_MAX - 50);
    close(writer);
    nginx_log_close(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_lose_what_the_log_gives_anyway),
        cmocka_unit_test(the_last_emergency_is_kept_also_in_pieces),
        cmocka_unit_test(a_flood_is_left_out),
        cmocka_unit_test(a_buffered_body_is_no_warning),
        cmocka_unit_test(wrong_passwords_are_counted),
        cmocka_unit_test(many_wrong_passwords_are_logged_before_the_minute_is_over),
        cmocka_unit_test(many_addresses_are_counted_together),
        cmocka_unit_test(a_full_disk_is_told_by_others),
        cmocka_unit_test(a_long_line_is_cut),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
