#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fcgi_fixture.h"
#include "process/worker/fcgi.h"
#include "util/buf.h"
#include "util/clock.h"

/* A worker in a process of its own, and here what nginx would say to it, byte for byte. */

#define LONG ((size_t)10 << 20)
#define LARGE ((size_t)4 << 20)

static int listener;
static pid_t worker;

/* ---- in the worker ---- */

static unsigned released;
static unsigned long long produced; /* by the last stream */

/* The behaviour of the stream. */
struct plan {
    size_t n;    /* bytes */
    size_t fail; /* after this many bytes */
};
static struct plan plan;

static int
produce(void *arg, struct http_sink *to, struct err *err)
{
    const struct plan *p = arg;
    char piece[1000];

    memset(piece, 'x', sizeof piece);
    for (produced = 0; produced < p->n;) {
        size_t n = p->n - produced < sizeof piece ? p->n - produced : sizeof piece;

        if (produced >= p->fail)
            return err_set(err, ERR_NOT_BROWSABLE, "it is broken here");
        if (to->put(to, bytes_of(piece, n), err) != 0)
            return -1;
        produced += n;
    }
    return p->fail <= p->n ? err_set(err, ERR_NOT_BROWSABLE, "it is broken at its end") : 0;
}

static void
release(void *arg)
{
    (void)arg;
    released++;
}

static void
refuse(struct http_reply *r, void *arg, const struct err *err)
{
    (void)arg;
    r->status = 422;
    r->headers_n = 0;
    r->length_known = false;
    r->body = bytes_str(err->code == ERR_NOT_BROWSABLE ? "refused" : "?");
}

static void
handle(const struct http_request *req, struct arena *arena, struct http_reply *reply, void *arg)
{
    const char *path = req->path;

    (void)arg;
    reply->status = 200;
    http_reply_header(reply, "X-Path", path);
    if (strcmp(path, "/large") == 0) {
        reply->body = bytes_of(arena_alloc(arena, LARGE), LARGE);
        return;
    }
    if (strcmp(path, "/tell") == 0) {
        reply->body = bytes_str(arena_printf(arena, "%u %llu", released, produced));
        return;
    }
    plan = (struct plan){.n = LONG, .fail = SIZE_MAX};
    if (strcmp(path, "/short") == 0 || strcmp(path, "/fails-early") == 0)
        plan.n = 3000;
    if (strcmp(path, "/endless") == 0)
        plan.n = SIZE_MAX;
    if (strcmp(path, "/fails-early") == 0)
        plan.fail = 3000;
    if (strcmp(path, "/fails") == 0)
        plan.fail = LONG / 2;
    if (strcmp(path, "/announced") == 0 || strcmp(path, "/lies") == 0) {
        reply->length_known = true;
        reply->length = strcmp(path, "/lies") == 0 ? LONG + 1 : LONG;
    }
    reply->stream = (struct http_stream){produce, release, &plan};
    reply->refuse = refuse;
}

static void
ended(const struct fcgi_done *done, void *arg)
{
    (void)done;
    (void)arg;
}

static void
work(void)
{
    const struct fcgi_limits limits = {
        .patience_ms = 300, .rate = 1u << 30, .still_ms = 600, .stuck_ms = 10000};
    struct err err;

    signal(SIGPIPE, SIG_IGN);
    _exit(fcgi_serve(listener, NULL, &limits, handle, ended, NULL, &err) == 0 ? 0 : 1);
}

/* ---- what nginx sees ---- */

static void
is_body(const struct answer *a, size_t n)
{
    size_t is;
    const char *body = fcgi_body(a, &is);

    assert_int_equal(is, n);
    for (size_t i = 0; i < n; i++)
        if (body[i] != 'x')
            fail_msg("byte %zu", i);
}

/* The worker's state. */
static void
tell(unsigned *was_released, unsigned long long *was_produced)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/tell"));
    size_t n;

    assert_true(a.ended);
    assert_int_equal(sscanf(fcgi_body(&a, &n), "%u %llu", was_released, was_produced), 2);
    buf_free(&a.out);
}

static int
setup(void **state)
{
    (void)state;
    released = 0;
    listener = fcgi_listen();
    worker = fork();
    if (worker == 0)
        work();
    return 0;
}

static int
teardown(void **state)
{
    unsigned was_released;
    unsigned long long was_produced;

    (void)state;
    tell(&was_released, &was_produced); /* whatever happened, it serves the next one */
    assert_int_equal(was_released, 1);
    kill(worker, SIGKILL);
    waitpid(worker, NULL, 0);
    fcgi_close(listener);
    return 0;
}

/* ---- */

static void
a_short_stream_has_a_length(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/short"));

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "Status: 200 OK\r\n"));
    assert_non_null(strstr(a.out.p, "\r\nContent-Length: 3000\r\n"));
    is_body(&a, 3000);
    buf_free(&a.out);
}

static void
a_long_one_comes_whole(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/long"));

    (void)state;
    assert_true(a.ended);
    assert_null(strstr(a.out.p, "Content-Length"));
    is_body(&a, LONG);
    buf_free(&a.out);
}

static void
one_of_known_length_says_so(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/announced"));

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "\r\nContent-Length: 10485760\r\n"));
    is_body(&a, LONG);
    buf_free(&a.out);
}

static void
head_makes_nothing(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("HEAD", "/announced"));
    unsigned was_released;
    unsigned long long was_produced;

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "\r\nContent-Length: 10485760\r\n"));
    is_body(&a, 0);
    buf_free(&a.out);
    tell(&was_released, &was_produced);
    assert_int_equal(was_produced, 0);
}

static void
one_that_fails_at_once_is_an_error(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/fails-early"));
    size_t n;

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "Status: 422"));
    assert_null(strstr(a.out.p, "X-Path"));
    assert_string_equal(fcgi_body(&a, &n), "refused");
    buf_free(&a.out);
}

static void
one_that_fails_later_has_no_end(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/fails"));
    size_t n;

    (void)state;
    assert_false(a.ended);
    assert_non_null(strstr(a.out.p, "Status: 200 OK\r\n"));
    fcgi_body(&a, &n);
    assert_true(n > 0 && n <= LONG / 2);
    buf_free(&a.out);
}

static void
one_that_is_shorter_than_announced_has_no_end(void **state)
{
    struct answer a = fcgi_hear(fcgi_ask("GET", "/lies"));

    (void)state;
    assert_false(a.ended);
    buf_free(&a.out);
}

static void
nothing_more_is_made_for_who_is_gone(void **state)
{
    unsigned was_released;
    unsigned long long was_produced;
    int fd = fcgi_ask("GET", "/endless");
    char some[100];

    (void)state;
    assert_true(fcgi_take(fd, some, sizeof some));
    close(fd);
    tell(&was_released, &was_produced);
    assert_int_equal(was_released, 1);
    assert_true(was_produced < LONG);
}

static void
a_slow_reader_has_to_make_room(void **state)
{
    int fd = fcgi_ask("GET", "/endless"), next;
    uint64_t until = clock_mono_ms() + FCGI_LIMIT_MS;
    struct pollfd waiting = {.events = POLLIN};
    char some[1000];

    (void)state;
    while (clock_mono_ms() < until - FCGI_LIMIT_MS + 1000) {
        assert_true(fcgi_take(fd, some, sizeof some)); /* as long as nobody waits, all is well */
        clock_sleep_ms(10);
    }
    next = waiting.fd = fcgi_ask("GET", "/tell");
    while (poll(&waiting, 1, 0) == 0 && clock_mono_ms() < until) {
        if (read(fd, some, sizeof some) <= 0)
            break;
        clock_sleep_ms(1);
    }
    assert_int_equal(poll(&waiting, 1, FCGI_LIMIT_MS), 1);
    close(fd);
    struct answer a = fcgi_hear(next);
    buf_free(&a.out);
}

/* A reader that takes nothing holds the worker until another request waits, and not much longer. */
static void
check_still_reader(const char *path)
{
    int fd = fcgi_ask("GET", path), next;
    uint64_t begin;
    struct pollfd waiting = {.events = POLLIN};
    struct answer a;

    clock_sleep_ms(1000); /* longer than still_ms: nobody waits */
    begin = clock_mono_ms();
    next = waiting.fd = fcgi_ask("GET", "/tell");
    assert_int_equal(poll(&waiting, 1, FCGI_LIMIT_MS), 1);
    assert_true(clock_mono_ms() - begin < 5000);
    close(fd);
    a = fcgi_hear(next);
    buf_free(&a.out);
}

static void
a_reader_of_nothing_has_to_make_room(void **state)
{
    (void)state;
    check_still_reader("/endless");
    check_still_reader("/large");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_short_stream_has_a_length),
        TEST(a_long_one_comes_whole),
        TEST(one_of_known_length_says_so),
        TEST(head_makes_nothing),
        TEST(one_that_fails_at_once_is_an_error),
        TEST(one_that_fails_later_has_no_end),
        TEST(one_that_is_shorter_than_announced_has_no_end),
        TEST(nothing_more_is_made_for_who_is_gone),
        TEST(a_slow_reader_has_to_make_room),
        TEST(a_reader_of_nothing_has_to_make_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
