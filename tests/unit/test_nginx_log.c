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
    *l = (struct nginx_log){.fd = -1};
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
        cmocka_unit_test(a_long_line_is_cut),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
