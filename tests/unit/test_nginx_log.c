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
    nginx_log_open(l, ends[0], 1000);
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
    nginx_log_read(&l, 1000);
    assert_string_equal(l.worst, "first");
    say(writer, "rg] second\nnginx: [warn] third");
    nginx_log_read(&l, 1000);
    assert_string_equal(l.worst, "second");
    close(writer);
    nginx_log_close(&l, 1000);
    assert_int_equal(l.fd, -1);
    assert_string_equal(l.worst, "second");
}

static void
a_flood_is_dropped_and_counted(void **state)
{
    (void)state;
    struct nginx_log l;
    int writer;
    open_log(&l, &writer);
    for (int i = 0; i < 1000; i++)
        say(writer, "nginx: [warn] x\n");
    for (int i = 0; i < 100; i++)
        nginx_log_read(&l, 1000);
    assert_int_equal(l.dropped, 800);
    say(writer, "nginx: [warn] x\n");
    nginx_log_read(&l, 2000);
    assert_int_equal(l.dropped, 0);
    close(writer);
    nginx_log_close(&l, 2000);
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
    nginx_log_read(&l, 1000);
    assert_true(strlen(l.worst) < NGINX_LOG_LINE_MAX);
    assert_true(strlen(l.worst) > NGINX_LOG_LINE_MAX - 50);
    close(writer);
    nginx_log_close(&l, 1000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_lose_what_the_log_gives_anyway),
        cmocka_unit_test(the_last_emergency_is_kept_also_in_pieces),
        cmocka_unit_test(a_flood_is_dropped_and_counted),
        cmocka_unit_test(a_long_line_is_cut),
    };
    log_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
