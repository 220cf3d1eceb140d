#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "fcgi_fixture.h"
#include "process/worker/fcgi.h"
#include "util/clock.h"

/* Connections that nginx keeps, and a pool of two workers. */

#define SLOW_MS 3000

static int listener;
static struct fd_exchange exchange;
static pid_t workers[2];

/* ---- in the workers ---- */

static int
fail_late(void *arg, struct http_sink *to, struct err *err)
{
    static const char piece[65536];

    (void)arg;
    if (to->put(to, bytes_of(piece, sizeof piece), err) != 0)
        return -1;
    return err_set(err, ERR_NOT_BROWSABLE, "it is broken here");
}

static void
handle(const struct http_request *req, struct arena *arena, struct http_reply *reply, void *arg)
{
    const char *path = req->path;

    (void)arg;
    reply->status = 200;
    if (strcmp(path, "/who") == 0) /* the pid, and all that the request says of its sender */
        reply->body = bytes_str(arena_printf(arena, "%d %s.%.*s.", (int)getpid(), req->user,
                                             (int)req->body.n, (const char *)req->body.p));
    else if (strcmp(path, "/slow") == 0) {
        clock_sleep_ms(SLOW_MS);
        reply->body = bytes_str(arena_printf(arena, "%d", (int)getpid()));
    } else if (strcmp(path, "/retire") == 0)
        fcgi_retire();
    else
        reply->stream = (struct http_stream){fail_late, NULL, NULL};
}

static void
ended(const struct fcgi_done *done, void *arg)
{
    (void)done;
    (void)arg;
}

static void
start_worker(unsigned place)
{
    const struct connections_pool pool = {&exchange, place};
    struct err err;

    workers[place] = fork();
    if (workers[place] != 0)
        return;
    signal(SIGPIPE, SIG_IGN);
    _exit(fcgi_serve(listener, &pool, &fcgi_limits_default, handle, ended, NULL, &err) == 0 ? 0
                                                                                            : 1);
}

/* ---- what nginx sees ---- */

static int
setup_pool(void **state)
{
    struct err err;

    (void)state;
    assert_int_equal(fd_exchange_make(&exchange, 2, &err), 0);
    listener = fcgi_listen();
    start_worker(0);
    start_worker(1);
    return 0;
}

static int
teardown_pool(void **state)
{
    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        kill(workers[i], SIGKILL);
        waitpid(workers[i], NULL, 0);
    }
    fd_exchange_close(&exchange);
    fcgi_close(listener);
    return 0;
}

/* The process that answers on that kept connection. */
static pid_t
who(int fd)
{
    struct answer a;
    size_t n;
    int pid;

    fcgi_say(fd, &(struct saying){.method = "GET", .path = "/who", .keep = true});
    a = fcgi_hear_one(fd);
    assert_true(a.ended);
    assert_int_equal(sscanf(fcgi_body(&a, &n), "%d", &pid), 1);
    buf_free(&a.out);
    return pid;
}

/* Two kept connections that one worker watches. */
static pid_t
two_of_one(int fd[2])
{
    int first[2] = {-1, -1};

    for (;;) {
        int next = fcgi_connect();
        unsigned at = who(next) == workers[0] ? 0 : 1;

        if (first[at] >= 0) {
            fd[0] = first[at];
            fd[1] = next;
            return workers[at];
        }
        first[at] = next;
    }
}

static void
a_kept_connection_has_many_requests(void **state)
{
    int fd = fcgi_connect();
    char pid[24];

    (void)state;
    for (int i = 0; i < 1000; i++) {
        bool odd = i % 2 == 1;
        struct answer a;
        size_t n;
        const char *body;

        fcgi_say(fd, &(struct saying){.method = odd ? "PUT" : "GET",
                                      .path = "/who",
                                      .user = odd ? "ann" : NULL,
                                      .body = odd ? "text" : NULL,
                                      .keep = true});
        a = fcgi_hear_one(fd);
        assert_true(a.ended);
        body = fcgi_body(&a, &n); /* nothing is left of the request before */
        sscanf(body, "%23s", pid);
        assert_string_equal(body + strlen(pid) + 1, odd ? "ann.text." : "..");
        buf_free(&a.out);
    }
    close(fd);
}

static void
one_that_nginx_does_not_keep_is_closed(void **state)
{
    int fd = fcgi_connect();
    struct answer a;

    (void)state;
    who(fd);
    fcgi_say(fd, &(struct saying){.method = "GET", .path = "/who"});
    a = fcgi_hear(fd);
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
        int fd = fcgi_connect();
        struct answer a;

        who(fd);
        fcgi_say(fd, &(struct saying){.method = "PUT",
                                      .path = "/who",
                                      .body = "text",
                                      .length = lengths[i],
                                      .keep = true});
        a = fcgi_hear_one(fd);
        assert_non_null(strstr(a.out.p, "Status: 400"));
        buf_free(&a.out);
        who(fd); /* its body was read to its end all the same */
        close(fd);
    }
}

static void
one_that_breaks_off_is_closed(void **state)
{
    int fd = fcgi_connect();
    struct answer a;

    (void)state;
    who(fd);
    fcgi_say(fd, &(struct saying){.method = "GET", .path = "/fails", .keep = true});
    a = fcgi_hear(fd);
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
    fcgi_say(fd[0], &(struct saying){.method = "PUT", .path = "/slow", .keep = true});
    clock_sleep_ms(SLOW_MS / 10);
    assert_int_not_equal(who(fd[1]), busy);
    slow.fd = fd[0];
    assert_int_equal(poll(&slow, 1, 0), 0);
    a = fcgi_hear_one(fd[0]);
    assert_true(a.ended);
    buf_free(&a.out);
    close(fd[0]);
    close(fd[1]);
}

static void
the_idle_one_helps(void **state)
{
    int fd[2], pids[2];
    pid_t busy = two_of_one(fd);
    const struct saying slow = {.method = "GET", .path = "/slow", .keep = true};

    (void)state;
    clock_sleep_ms(50); /* the other one may still look at connections that were closed */
    kill(busy, SIGSTOP);
    assert_int_equal(waitpid(busy, NULL, WUNTRACED), busy);
    fcgi_say(fd[0], &slow);
    fcgi_say(fd[1], &slow);
    kill(busy, SIGCONT); /* now it sees both */
    for (int i = 0; i < 2; i++) {
        struct answer a = fcgi_hear_one(fd[i]);
        size_t n;

        assert_true(a.ended);
        assert_int_equal(sscanf(fcgi_body(&a, &n), "%d", &pids[i]), 1);
        buf_free(&a.out);
    }
    assert_int_not_equal(pids[0], pids[1]);
    assert_int_not_equal(who(fd[0]), who(fd[1]));
    close(fd[0]);
    close(fd[1]);
}

static void
one_that_retires_leaves_its_connections(void **state)
{
    int fd[2];
    pid_t old = two_of_one(fd);
    unsigned at = old == workers[0] ? 0 : 1;
    struct answer a;

    (void)state;
    fcgi_say(fd[0], &(struct saying){.method = "GET", .path = "/retire", .keep = true});
    a = fcgi_hear_one(fd[0]);
    assert_true(a.ended);
    buf_free(&a.out);
    assert_int_equal(waitpid(old, NULL, 0), old);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(who(fd[i]), workers[at == 0]);
        close(fd[i]);
    }
    start_worker(at);
}

/* nginx closes connections, and their numbers are used again. */
static void
many_come_and_go(void **state)
{
    int fd[40];

    (void)state;
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 40; i++) {
            fd[i] = fcgi_connect();
            who(fd[i]);
        }
        for (int i = 0; i < 40; i++)
            if (i % 3 == round % 3)
                fcgi_say(fd[i], &(struct saying){.method = "PUT", .path = "/who", .keep = true});
        for (int i = 0; i < 40; i++) {
            if (i % 3 == round % 3) {
                struct answer a = fcgi_hear_one(fd[i]);
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

/* nginx gave up while its requests waited for a worker. The numbers of their connections are used
 * again. */
static void
one_that_nginx_gave_up_is_forgotten(void **state)
{
    const struct saying is = {.method = "GET", .path = "/who", .keep = true};

    (void)state;
    for (int i = 0; i < 2; i++)
        kill(workers[i], SIGSTOP);
    for (int i = 0; i < 8; i++) {
        int gone = fcgi_connect();

        fcgi_say(gone, &is);
        close(gone);
    }
    for (int i = 0; i < 2; i++)
        kill(workers[i], SIGCONT);
    for (int i = 0; i < 16; i++) {
        int fd = fcgi_connect();

        who(fd);
        who(fd);
        close(fd);
    }
}

int
main(void)
{
#define POOL(f) cmocka_unit_test_setup_teardown(f, setup_pool, teardown_pool)
    const struct CMUnitTest tests[] = {
        POOL(a_kept_connection_has_many_requests),
        POOL(one_that_nginx_does_not_keep_is_closed),
        POOL(one_with_a_wrong_length_is_closed),
        POOL(one_that_breaks_off_is_closed),
        POOL(nobody_waits_for_a_change),
        POOL(the_idle_one_helps),
        POOL(one_that_retires_leaves_its_connections),
        POOL(many_come_and_go),
        POOL(one_that_nginx_gave_up_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
