#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include <sys/socket.h>
#include <sys/un.h>
#include "util/json.h"
#include "util/log.h"

static int old_stderr;
static FILE *caught;

/* From here to log_caught, stderr goes into a file. */
static void
catch_log(void)
{
    caught = tmpfile();
    assert_non_null(caught);
    old_stderr = dup(STDERR_FILENO);
    dup2(fileno(caught), STDERR_FILENO);
}

/* "time=2026-11-23T17:01:01.234Z " */
#define TIME_BYTES 30

/* Removes the time from each line. */
static void
cut_times(char *text)
{
    for (char *line = text; *line != '\0';) {
        char time[TIME_BYTES];
        size_t left = strlen(line);

        assert_true(left > TIME_BYTES && strncmp(line, "time=", 5) == 0 &&
                    line[TIME_BYTES - 1] == ' ');
        snprintf(time, sizeof time, "%.*s", TIME_BYTES - 6, line + 5);
        assert_true(clock_is_rfc3339(time));
        memmove(line, line + TIME_BYTES, left - TIME_BYTES + 1);
        line = strchr(line, '\n') + 1;
    }
}

static const char *
log_caught(void)
{
    static char text[16000];
    dup2(old_stderr, STDERR_FILENO);
    close(old_stderr);
    ssize_t n = pread(fileno(caught), text, sizeof text - 1, 0);
    fclose(caught);
    assert_true(n >= 0);
    text[n] = '\0';
    if (getenv("JOURNAL_STREAM") == NULL && text[0] != '{')
        cut_times(text);
    return text;
}

static void
a_line_has_level_message_and_fields(void **state)
{
    (void)state;
    catch_log();
    log_line(LOG_WARN, "worker died", "pid=%d signal=%u name=%s", -31, 9u, "blob");
    log_line(LOG_ERROR, "x", NULL);
    assert_string_equal(log_caught(), "level=warn msg=\"worker died\" pid=-31 signal=9 name=blob\n"
                                      "level=error msg=\"x\"\n");
}

static void
the_journal_adds_the_time(void **state)
{
    struct stat st;
    char stream[64];

    (void)state;
    catch_log();
    assert_int_equal(fstat(STDERR_FILENO, &st), 0);
    snprintf(stream, sizeof stream, "%llu:%llu", (unsigned long long)st.st_dev,
             (unsigned long long)st.st_ino);
    setenv("JOURNAL_STREAM", stream, 1);
    log_line(LOG_INFO, "m", NULL);
    log_line(LOG_ERROR, "m", "a=%d", 1);
    assert_string_equal(log_caught(), "<6>level=info msg=\"m\"\n<3>level=error msg=\"m\" a=1\n");
    setenv("JOURNAL_STREAM", "1:1", 1); /* stderr was redirected */
    catch_log();
    log_line(LOG_INFO, "m", NULL);
    unsetenv("JOURNAL_STREAM");
    assert_string_equal(log_caught(), "level=info msg=\"m\"\n");
}

static void
all_promised_conversions_work(void **state)
{
    (void)state;
    catch_log();
    log_line(LOG_INFO, "m", "a=%ld b=%lu c=%lld d=%llu e=%zu f=%c g=%s/%d", -1L, 2ul, -3ll, 4ull,
             (size_t)5, 'x', "p", 6);
    assert_string_equal(log_caught(), "level=info msg=\"m\" a=-1 b=2 c=-3 d=4 e=5 f=x g=p/6\n");
}

static void
strangers_cannot_forge_a_line_or_field(void **state)
{
    (void)state;
    catch_log();
    log_line(LOG_INFO, "a \"b\"\\", "v=%s w=%s x=%s y=%s z=%s/%s q=%c", "a b", "a\nlevel=error", "",
             "\xc3\xa9\x1b", "a\"", "\\", ' ');
    assert_string_equal(log_caught(),
                        "level=info msg=\"a \\\"b\\\"\\\\\" v=\"a b\" w=\"a\\nlevel=error\" x=\"\" "
                        "y=\"\\xc3\\xa9\\x1b\" z=\"a\\\"/\\\\\" q=\" \"\n");
}

/* The same as JSON, with any bytes; and each line can be parsed. */
static void
a_line_can_be_json(void **state)
{
    char text[3000];

    (void)state;
    log_set_json(true);
    catch_log();
    log_set_request("1f");
    log_line(LOG_WARN, "a \"b\"\\", "pid=%d x=%s y=%s/%d", -31,
             "a\n\x1b\xc2\x9b\xff\xc3\xa9\xe2\x80\xae\xf3\xa0\x81\x81\"}", "", 1);
    log_set_request("");
    log_line(LOG_ERROR, "x", NULL);
    assert_non_null(
        strstr(log_caught(),
               "\"level\":\"warn\",\"msg\":\"a \\\"b\\\"\\\\\",\"request\":\"1f\",\"pid\":-31,"
               "\"x\":\"a\\u000a\\u001b\\u009b\\ufffd\xc3\xa9\\u202e\\udb40\\udc41\\\"}\",\"y\":\"/"
               "1\"}\n"));
    for (size_t n = 1800; n < 2100; n++)
        for (const char *byte = "\n\xe2x\""; *byte != '\0'; byte++) {
            struct err err;
            struct json *j;
            const char *line;

            memset(text, *byte, n);
            text[n] = '\0';
            catch_log();
            log_line(LOG_INFO, "m", "v=%s%s last=%d", "\xc3\xa9\xf0\x9f\x98\x80",
                     text + (n - 1) % 7, 1);
            line = log_caught();
            assert_true(strlen(line) <= 2000);
            assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
            assert_int_equal(json_parse(bytes_str(line), 2, &j, &err), 0);
            json_free(j);
        }
    log_set_json(false);
}

static void
a_line_can_go_to_syslog(void **state)
{
    struct sockaddr_un sa = {.sun_family = AF_UNIX};
    char packet[3000], pid[40];
    int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
    ssize_t n;

    (void)state;
    snprintf(sa.sun_path, sizeof sa.sun_path, "/tmp/test-log-%d", (int)getpid());
    assert_int_equal(bind(fd, (struct sockaddr *)&sa, sizeof sa), 0);
    catch_log();
    log_set_syslog(sa.sun_path);
    log_line(LOG_WARN, "m", "a=%s", "b\nc");
    assert_string_equal(log_caught(), "");
    n = recv(fd, packet, sizeof packet - 1, MSG_DONTWAIT);
    assert_true(n > 0);
    packet[n] = '\0';
    snprintf(pid, sizeof pid, " docker-registry-server[%d]: ", (int)getpid());
    assert_memory_equal(packet, "<28>", 4);
    assert_non_null(strstr(packet, pid));
    assert_string_equal(strstr(packet, "level="), "level=warn msg=\"m\" a=\"b\\nc\"");
    close(fd);
    unlink(sa.sun_path);
    catch_log();
    log_line(LOG_WARN, "m", NULL);
    assert_string_equal(log_caught(), "level=warn msg=\"m\"\n"); /* there is none */
    log_set_syslog(NULL);
}

static void
a_long_line_is_cut_and_still_well_formed(void **state)
{
    (void)state;
    char text[3000];
    memset(text, '\n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    for (size_t pad = 0; pad < 3; pad++) {
        catch_log();
        log_line(LOG_INFO, &"aa"[pad], "v=%s last=%d", text, 1);
        const char *line = log_caught();
        size_t n = strlen(line);
        assert_true(n >= 1990 - TIME_BYTES && n <= 2000 - TIME_BYTES);
        assert_memory_equal(line + n - 4, "\\n\"\n", 4);
        assert_ptr_equal(strchr(line, '\n'), line + n - 1);
        assert_null(strstr(line, "last"));
    }
    memset(text, 'x', sizeof text - 1);
    catch_log();
    log_line(LOG_INFO, "m", "v=%s last=%d", text, 1);
    const char *line = log_caught();
    assert_int_equal(strlen(line), 1999 - TIME_BYTES);
    assert_string_equal(line + 1990 - TIME_BYTES, "xxxxxxxx\n");
}

static void
only_what_the_level_asks_for_is_written(void **state)
{
    (void)state;
    enum log_level level;
    assert_true(log_level_parse("error", &level));
    log_set_level(level);
    catch_log();
    log_line(LOG_WARN, "w", NULL);
    assert_string_equal(log_caught(), "");
    assert_true(log_level_parse("debug", &level));
    log_set_level(level);
    catch_log();
    log_line(LOG_DEBUG, "d", NULL);
    assert_string_equal(log_caught(), "level=debug msg=\"d\"\n");
    log_set_level(LOG_INFO);
    assert_false(log_level_parse("Info", &level));
    assert_false(log_level_parse("", &level));
}

static void
errno_stays(void **state)
{
    (void)state;
    catch_log();
    close(STDERR_FILENO);
    errno = EPIPE;
    log_line(LOG_ERROR, "nobody reads", NULL);
    int after = errno;
    log_caught();
    assert_int_equal(after, EPIPE);
}

static size_t
count_lines(const char *text, const char *like)
{
    size_t n = 0;

    while ((text = strstr(text, like)) != NULL) {
        n++;
        text += strlen(like);
    }
    return n;
}

static void
clients_fill_no_log(void **state)
{
    const char *text;

    (void)state;
    log_limit_client_lines(3, 200);
    catch_log();
    for (int i = 0; i < 50; i++)
        log_client_line(LOG_WARN, "a client", "i=%d", i);
    log_count_client_lines();
    if (fork() == 0) { /* processes share the throttle */
        log_client_line(LOG_WARN, "a client", NULL);
        _exit(0);
    }
    wait(NULL);
    for (int i = 0; i < 50; i++)
        log_client_line(LOG_ERROR, "a failure", NULL);
    log_line(LOG_WARN, "of our own", NULL);
    text = log_caught();
    assert_int_equal(count_lines(text, "a client"), 3);
    assert_int_equal(count_lines(text, "a failure"), 3);
    assert_int_equal(count_lines(text, "of our own"), 1);
    assert_int_equal(count_lines(text, "left_out"), 0);

    catch_log();
    clock_sleep_ms(250);
    log_count_client_lines();
    log_count_client_lines();
    log_client_line(LOG_WARN, "a client", NULL);
    log_client_line(LOG_WARN, "a client", NULL);
    text = log_caught();
    assert_int_equal(count_lines(text, "a client"), 1);
    assert_int_equal(count_lines(text, "left_out=48"), 1);
    assert_int_equal(count_lines(text, "left_out=47"), 1);
    assert_int_equal(count_lines(text, "left_out"), 2);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_can_be_json),
        cmocka_unit_test(a_line_can_go_to_syslog),
        cmocka_unit_test(a_line_has_level_message_and_fields),
        cmocka_unit_test(the_journal_adds_the_time),
        cmocka_unit_test(all_promised_conversions_work),
        cmocka_unit_test(strangers_cannot_forge_a_line_or_field),
        cmocka_unit_test(a_long_line_is_cut_and_still_well_formed),
        cmocka_unit_test(only_what_the_level_asks_for_is_written),
        cmocka_unit_test(errno_stays),
        cmocka_unit_test(clients_fill_no_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
