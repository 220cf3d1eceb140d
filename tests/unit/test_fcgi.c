#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/worker/fcgi.h"
#include "util/buf.h"
#include "util/clock.h"

/* A worker in a process of its own, and here what nginx would say to it, byte for byte. */

#define LIMIT_MS 20000
#define SLOW_MS 3000
#define LONG ((size_t)10 << 20)
#define LARGE ((size_t)4 << 20)

static char dir[64];
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static int listener;
static pid_t worker;
static struct fd_exchange exchange; /* of a pool of two workers, if n isn't 0 */
static pid_t second;

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
    if (strcmp(path, "/who") ==
        0) { /* the worker's pid, and all that the request says of its sender */
        reply->body = bytes_str(arena_printf(arena, "%d %s.%.*s.", (int)getpid(), req->user,
                                             (int)req->body.n, (const char *)req->body.p));
        return;
    }
    if (strcmp(path, "/slow") == 0 || strcmp(path, "/retire") == 0) {
        if (strcmp(path, "/slow") == 0)
            clock_sleep_ms(SLOW_MS);
        else
            fcgi_retire();
        reply->body = bytes_str("done");
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
ended(void *arg)
{
    (void)arg;
}

static void
work(unsigned place)
{
    const struct fcgi_limits limits = {
        .patience_ms = 300, .rate = 1u << 30, .still_ms = 600, .stuck_ms = 10000};
    const struct connections_pool pool = {&exchange, place};
    struct err err;

    signal(SIGPIPE, SIG_IGN);
    _exit(fcgi_serve(listener, exchange.n > 0 ? &pool : NULL, &limits, handle, ended, NULL, &err) ==
                  0
              ? 0
              : 1);
}

/* ---- nginx's side (FastCGI 1.0) ---- */

struct answer {
    struct buf out;
    bool ended; /* the request's end came, not only that of the connection */
};

static void
record(int fd, int type, const char *content, size_t n)
{
    uint8_t head[8] = {1, (uint8_t)type, 0, 1, (uint8_t)(n >> 8), (uint8_t)n, 0, 0};

    assert_int_equal(write(fd, head, sizeof head), sizeof head);
    if (n > 0)
        assert_int_equal(write(fd, content, n), n);
}

static void
param(struct buf *b, const char *name, const char *value)
{
    buf_putc(b, (char)strlen(name));
    buf_putc(b, (char)strlen(value));
    buf_puts(b, name);
    buf_puts(b, value);
}

struct saying {
    const char *method, *path, *user, *body;
    const char *length; /* of the body, as announced */
    bool keep;
};

static void
say(int fd, const struct saying *w)
{
    const char begin[8] = {0, 1, (char)w->keep, 0, 0, 0, 0, 0};
    struct buf b;

    buf_init(&b, 4096);
    param(&b, "ROLE", "main");
    param(&b, "REQUEST_METHOD", w->method);
    param(&b, "REQUEST_URI", w->path);
    param(&b, "DOCUMENT_URI", w->path);
    if (w->user != NULL)
        param(&b, "REMOTE_USER", w->user);
    if (w->length != NULL)
        param(&b, "CONTENT_LENGTH", w->length);
    record(fd, 1, begin, sizeof begin);
    record(fd, 4, b.p, b.n);
    record(fd, 4, "", 0);
    if (w->body != NULL)
        record(fd, 5, w->body, strlen(w->body));
    record(fd, 5, "", 0);
    buf_free(&b);
}

static int
call_worker(void)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static int
ask(const char *method, const char *path)
{
    int fd = call_worker();

    say(fd, &(struct saying){.method = method, .path = path});
    return fd;
}

/* False at the end of the connection. */
static bool
take(int fd, void *p, size_t n)
{
    for (size_t at = 0; at < n;) {
        struct pollfd waiting = {.fd = fd, .events = POLLIN};
        ssize_t got;

        assert_int_equal(poll(&waiting, 1, LIMIT_MS), 1);
        got = read(fd, (char *)p + at, n - at);
        if (got <= 0)
            return false;
        at += (size_t)got;
    }
    return true;
}

/* The answer to one request, whose connection may stay open. */
static struct answer
hear_one(int fd)
{
    struct answer a = {.ended = false};
    uint8_t head[8];

    buf_init(&a.out, 2 * LONG);
    while (!a.ended && take(fd, head, sizeof head)) {
        size_t n = (size_t)head[4] << 8 | head[5], padding = head[6];
        char content[65536 + 256];

        if (!take(fd, content, n + padding))
            break;
        if (head[1] == 6)
            buf_put(&a.out, content, n);
        a.ended = head[1] == 3;
    }
    buf_putc(&a.out, '\0');
    assert_true(buf_ok(&a.out));
    return a;
}

static bool
is_closed(int fd)
{
    char more;

    return !take(fd, &more, 1);
}

static struct answer
hear(int fd)
{
    struct answer a = hear_one(fd);

    assert_true(is_closed(fd));
    close(fd);
    return a;
}

static const char *
body_of(const struct answer *a, size_t *n)
{
    const char *body = strstr(a->out.p, "\r\n\r\n");

    assert_non_null(body);
    *n = a->out.n - 1 - (size_t)(body + 4 - a->out.p);
    return body + 4;
}

static void
is_body(const struct answer *a, size_t n)
{
    size_t is;
    const char *body = body_of(a, &is);

    assert_int_equal(is, n);
    for (size_t i = 0; i < n; i++)
        if (body[i] != 'x')
            fail_msg("byte %zu", i);
}

/* The worker's state. */
static void
tell(unsigned *was_released, unsigned long long *was_produced)
{
    struct answer a = hear(ask("GET", "/tell"));
    size_t n;

    assert_true(a.ended);
    assert_int_equal(sscanf(body_of(&a, &n), "%u %llu", was_released, was_produced), 2);
    buf_free(&a.out);
}

static int
setup(void **state)
{
    (void)state;
    released = 0;
    snprintf(dir, sizeof dir, "/tmp/test_fcgi.XXXXXX");
    assert_non_null(mkdtemp(dir));
    snprintf(address.sun_path, sizeof address.sun_path, "%s/s", dir);
    listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(listener, 16), 0);
    worker = fork();
    if (worker == 0)
        work(0);
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
    close(listener);
    unlink(address.sun_path);
    rmdir(dir);
    return 0;
}

/* ---- */

static void
a_short_stream_has_a_length(void **state)
{
    struct answer a = hear(ask("GET", "/short"));

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
    struct answer a = hear(ask("GET", "/long"));

    (void)state;
    assert_true(a.ended);
    assert_null(strstr(a.out.p, "Content-Length"));
    is_body(&a, LONG);
    buf_free(&a.out);
}

static void
one_of_known_length_says_so(void **state)
{
    struct answer a = hear(ask("GET", "/announced"));

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "\r\nContent-Length: 10485760\r\n"));
    is_body(&a, LONG);
    buf_free(&a.out);
}

static void
head_makes_nothing(void **state)
{
    struct answer a = hear(ask("HEAD", "/announced"));
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
    struct answer a = hear(ask("GET", "/fails-early"));
    size_t n;

    (void)state;
    assert_true(a.ended);
    assert_non_null(strstr(a.out.p, "Status: 422"));
    assert_null(strstr(a.out.p, "X-Path"));
    assert_string_equal(body_of(&a, &n), "refused");
    buf_free(&a.out);
}

static void
one_that_fails_later_has_no_end(void **state)
{
    struct answer a = hear(ask("GET", "/fails"));
    size_t n;

    (void)state;
    assert_false(a.ended);
    assert_non_null(strstr(a.out.p, "Status: 200 OK\r\n"));
    body_of(&a, &n);
    assert_true(n > 0 && n <= LONG / 2);
    buf_free(&a.out);
}

static void
one_that_is_shorter_than_announced_has_no_end(void **state)
{
    struct answer a = hear(ask("GET", "/lies"));

    (void)state;
    assert_false(a.ended);
    buf_free(&a.out);
}

static void
nothing_more_is_made_for_who_is_gone(void **state)
{
    unsigned was_released;
    unsigned long long was_produced;
    int fd = ask("GET", "/endless");
    char some[100];

    (void)state;
    assert_true(take(fd, some, sizeof some));
    close(fd);
    tell(&was_released, &was_produced);
    assert_int_equal(was_released, 1);
    assert_true(was_produced < LONG);
}

static void
a_slow_reader_has_to_make_room(void **state)
{
    int fd = ask("GET", "/endless"), next;
    uint64_t until = clock_mono_ms() + LIMIT_MS;
    struct pollfd waiting = {.events = POLLIN};
    char some[1000];

    (void)state;
    while (clock_mono_ms() < until - LIMIT_MS + 1000) {
        assert_true(take(fd, some, sizeof some)); /* as long as nobody waits, all is well */
        clock_sleep_ms(10);
    }
    next = waiting.fd = ask("GET", "/tell");
    while (poll(&waiting, 1, 0) == 0 && clock_mono_ms() < until) {
        if (read(fd, some, sizeof some) <= 0)
            break;
        clock_sleep_ms(1);
    }
    assert_int_equal(poll(&waiting, 1, LIMIT_MS), 1);
    close(fd);
    struct answer a = hear(next);
    buf_free(&a.out);
}

/* A reader that takes nothing holds the worker until another request waits, and not much longer. */
static void
check_still_reader(const char *path)
{
    int fd = ask("GET", path), next;
    uint64_t begin;
    struct pollfd waiting = {.events = POLLIN};
    struct answer a;

    clock_sleep_ms(1000); /* longer than still_ms: nobody waits */
    begin = clock_mono_ms();
    next = waiting.fd = ask("GET", "/tell");
    assert_int_equal(poll(&waiting, 1, LIMIT_MS), 1);
    assert_true(clock_mono_ms() - begin < 5000);
    close(fd);
    a = hear(next);
    buf_free(&a.out);
}

static void
a_reader_of_nothing_has_to_make_room(void **state)
{
    (void)state;
    check_still_reader("/endless");
    check_still_reader("/large");
}

/* ---- connections that are kept, by a pool of two ---- */

static int
setup_pool(void **state)
{
    struct err err;

    assert_int_equal(fd_exchange_make(&exchange, 2, &err), 0);
    setup(state);
    assert_int_equal(fcntl(listener, F_SETFL, O_NONBLOCK), 0);
    second = fork();
    if (second == 0)
        work(1);
    return 0;
}

static int
teardown_pool(void **state)
{
    (void)state;
    kill(worker, SIGKILL);
    kill(second, SIGKILL);
    waitpid(worker, NULL, 0);
    waitpid(second, NULL, 0);
    fd_exchange_close(&exchange);
    close(listener);
    unlink(address.sun_path);
    rmdir(dir);
    return 0;
}

/* Who answers on that connection, which is kept. */
static pid_t
who(int fd)
{
    struct answer a;
    size_t n;
    int pid;

    say(fd, &(struct saying){.method = "GET", .path = "/who", .keep = true});
    a = hear_one(fd);
    assert_true(a.ended);
    assert_int_equal(sscanf(body_of(&a, &n), "%d", &pid), 1);
    buf_free(&a.out);
    return pid;
}

/* Two kept connections that one worker watches. */
static pid_t
two_of_one(int fd[2])
{
    int first[2] = {-1, -1};

    for (;;) {
        int next = call_worker();
        int at = who(next) == worker ? 0 : 1;

        if (first[at] >= 0) {
            fd[0] = first[at];
            fd[1] = next;
            return at == 0 ? worker : second;
        }
        first[at] = next;
    }
}

static void
a_kept_connection_has_many_requests(void **state)
{
    int fd = call_worker();
    char pid[24];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        bool odd = i % 2 == 1;
        struct answer a;
        size_t n;
        const char *body;

        say(fd, &(struct saying){.method = odd ? "PUT" : "GET",
                                 .path = "/who",
                                 .user = odd ? "ann" : NULL,
                                 .body = odd ? "text" : NULL,
                                 .keep = true});
        a = hear_one(fd);
        assert_true(a.ended);
        body = body_of(&a, &n); /* nothing is left of the request before */
        sscanf(body, "%23s", pid);
        assert_string_equal(body + strlen(pid) + 1, odd ? "ann.text." : "..");
        buf_free(&a.out);
    }
    close(fd);
}

static void
one_that_nginx_does_not_keep_is_closed(void **state)
{
    int fd = call_worker();
    struct answer a;

    (void)state;
    who(fd);
    say(fd, &(struct saying){.method = "GET", .path = "/who"});
    a = hear(fd);
    assert_true(a.ended);
    buf_free(&a.out);
}

/* A request that isn't understood to its end must not become the beginning of the next one. */
static void
one_with_a_wrong_length_is_closed(void **state)
{
    static const char *const lengths[] = {"3", "5"};

    (void)state;
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        int fd = call_worker();
        struct answer a;

        who(fd);
        say(fd, &(struct saying){.method = "PUT",
                                 .path = "/who",
                                 .body = "text",
                                 .length = lengths[i],
                                 .keep = true});
        a = hear_one(fd);
        assert_non_null(strstr(a.out.p, "Status: 400"));
        buf_free(&a.out);
        who(fd); /* its body was read to its end all the same */
        close(fd);
    }
}

static void
one_that_breaks_off_is_closed(void **state)
{
    int fd = call_worker();
    struct answer a;

    (void)state;
    who(fd);
    say(fd, &(struct saying){.method = "GET", .path = "/fails", .keep = true});
    a = hear(fd);
    assert_false(a.ended);
    buf_free(&a.out);
}

static void
nobody_waits_for_a_change(void **state)
{
    int fd[2];
    pid_t busy = two_of_one(fd);
    struct pollfd slow = {.events = POLLIN};
    struct answer a;

    (void)state;
    say(fd[0], &(struct saying){.method = "PUT", .path = "/slow", .keep = true});
    clock_sleep_ms(SLOW_MS / 10);
    assert_int_not_equal(who(fd[1]), busy);
    slow.fd = fd[0];
    assert_int_equal(poll(&slow, 1, 0), 0);
    a = hear_one(fd[0]);
    assert_true(a.ended);
    buf_free(&a.out);
    close(fd[0]);
    close(fd[1]);
}

static void
the_idle_one_helps(void **state)
{
    int fd[2];
    pid_t busy = two_of_one(fd);
    const struct saying slow = {.method = "GET", .path = "/slow", .keep = true};
    uint64_t begin;

    (void)state;
    kill(busy, SIGSTOP);
    say(fd[0], &slow);
    say(fd[1], &slow);
    begin = clock_mono_ms();
    kill(busy, SIGCONT);
    for (int i = 0; i < 2; i++) {
        struct answer a = hear_one(fd[i]);
        assert_true(a.ended);
        buf_free(&a.out);
    }
    assert_true(clock_mono_ms() - begin < 2 * SLOW_MS); /* one after the other would take that */
    assert_int_not_equal(who(fd[0]), who(fd[1]));
    close(fd[0]);
    close(fd[1]);
}

static void
one_that_retires_leaves_its_connections(void **state)
{
    int fd[2];
    pid_t old = two_of_one(fd);
    struct answer a;

    (void)state;
    say(fd[0], &(struct saying){.method = "GET", .path = "/retire", .keep = true});
    a = hear_one(fd[0]);
    assert_true(a.ended);
    buf_free(&a.out);
    assert_int_equal(waitpid(old, NULL, 0), old);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(who(fd[i]), old == worker ? second : worker);
        close(fd[i]);
    }
    if (old == worker)
        worker = second;
    second = fork(); /* for teardown */
    if (second == 0)
        work(1);
}

/* nginx closes connections, and their numbers are used again. */
static void
many_come_and_go(void **state)
{
    int fd[40];

    (void)state;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 40; i++) {
            fd[i] = call_worker();
            who(fd[i]);
        }
        for (int i = 0; i < 40; i++)
            if (i % 3 == round % 3)
                say(fd[i], &(struct saying){.method = "PUT", .path = "/who", .keep = true});
        for (int i = 0; i < 40; i++) {
            if (i % 3 == round % 3) {
                struct answer a = hear_one(fd[i]);
                assert_true(a.ended);
                buf_free(&a.out);
            }
            if (i % 3 != 0)
                close(fd[i]);
        }
        for (int i = 0; i < 40; i += 3) {
            who(fd[i]);
            close(fd[i]);
        }
    }
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
#define POOL(f) cmocka_unit_test_setup_teardown(f, setup_pool, teardown_pool)
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
        POOL(a_kept_connection_has_many_requests),
        POOL(one_that_nginx_does_not_keep_is_closed),
        POOL(one_with_a_wrong_length_is_closed),
        POOL(one_that_breaks_off_is_closed),
        POOL(nobody_waits_for_a_change),
        POOL(the_idle_one_helps),
        POOL(one_that_retires_leaves_its_connections),
        POOL(many_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
