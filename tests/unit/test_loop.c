#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/loop.h"

/* The calls of the loop, in order. */
static char called[200];

static void
note(char what)
{
    size_t n = strlen(called);
    assert_true(n + 1 < sizeof called);
    called[n] = what;
}

static void
begin(struct loop *l)
{
    memset(called, 0, sizeof called);
    loop_init(l);
}

static void
go(struct loop *l)
{
    struct err err;
    assert_int_equal(loop_wait(l, &err), 0);
}

/* ---- descriptors ---- */

struct watched {
    struct loop_fd fd;
    int ends[2];
    char name;
    struct watched *stops; /* when it is called; NULL: nobody */
};

static void
read_one(void *arg)
{
    struct watched *w = arg;
    char c;
    note(w->name);
    assert_int_equal(read(w->ends[0], &c, 1), 1);
    if (w->stops != NULL)
        loop_fd_stop(&w->stops->fd);
}

static void
watch(struct watched *w, struct loop *l, char name)
{
    *w = (struct watched){.name = name};
    assert_int_equal(pipe(w->ends), 0);
    loop_fd_init(&w->fd, l, read_one, w);
    loop_fd_set(&w->fd, w->ends[0], POLLIN);
}

static void
unwatch(struct watched *w)
{
    loop_fd_stop(&w->fd);
    close(w->ends[0]);
    close(w->ends[1]);
}

static void
those_that_are_ready_are_called(void **state)
{
    (void)state;
    struct loop l;
    struct watched w[3];
    begin(&l);
    for (int i = 0; i < 3; i++)
        watch(&w[i], &l, (char)('a' + i));
    assert_int_equal(write(w[0].ends[1], "xy", 2), 2);
    assert_int_equal(write(w[2].ends[1], "x", 1), 1);
    go(&l);
    assert_string_equal(called, "ac");
    go(&l);
    assert_string_equal(called, "aca");
    assert_int_equal(write(w[1].ends[1], "x", 1), 1);
    unwatch(&w[0]);
    go(&l);
    assert_string_equal(called, "acab");
    unwatch(&w[1]);
    unwatch(&w[2]);
    loop_free(&l);
}

static void
one_that_is_stopped_in_a_round_is_not_called_in_it(void **state)
{
    (void)state;
    struct loop l;
    struct watched w[3], late;
    begin(&l);
    for (int i = 0; i < 3; i++) {
        watch(&w[i], &l, (char)('a' + i));
        assert_int_equal(write(w[i].ends[1], "x", 1), 1);
    }
    w[0].stops = &w[1];
    w[2].stops = &w[2];
    go(&l);
    assert_string_equal(called, "ac");
    /* In another's place, and with another's old descriptor. */
    watch(&late, &l, 'd');
    assert_int_equal(write(late.ends[1], "x", 1), 1);
    go(&l);
    assert_string_equal(called, "acd");
    loop_fd_set(&late.fd, w[1].ends[0], 0);
    loop_fd_set(&w[1].fd, w[1].ends[0], POLLIN);
    go(&l);
    assert_string_equal(called, "acdb");
    unwatch(&late);
    for (int i = 0; i < 3; i++)
        unwatch(&w[i]);
    loop_free(&l);
}

/* ---- timers ---- */

struct timed {
    struct loop_timer timer;
    char name;
    struct timed *again; /* is set to now when it is called; NULL: none */
    struct timed *stops;
};

static void
tell_time(void *arg)
{
    struct timed *t = arg;
    note(t->name);
    if (t->again != NULL)
        loop_timer_at(&t->again->timer, loop_now(t->timer.loop));
    if (t->stops != NULL)
        loop_timer_stop(&t->stops->timer);
}

static void
timers_run_out_in_order(void **state)
{
    (void)state;
    static const int after[] = {30, 10, 20, 0, 10};
    struct loop l;
    struct timed t[5];
    begin(&l);
    uint64_t since = clock_mono_ms();
    for (int i = 0; i < 5; i++) {
        t[i] = (struct timed){.name = (char)('a' + i)};
        loop_timer_init(&t[i].timer, &l, tell_time, &t[i]);
        loop_timer_at(&t[i].timer, since + (uint64_t)after[i]);
    }
    while (strlen(called) < 5)
        go(&l);
    assert_string_equal(called, "dbeca");
    assert_in_range(clock_mono_ms() - since, 30, 5000);
    loop_free(&l);
}

static void
a_timer_is_set_again_pulled_forward_and_stopped(void **state)
{
    (void)state;
    struct loop l;
    struct timed t[4];
    begin(&l);
    for (int i = 0; i < 4; i++) {
        t[i] = (struct timed){.name = (char)('a' + i)};
        loop_timer_init(&t[i].timer, &l, tell_time, &t[i]);
    }
    uint64_t now = loop_now(&l);
    loop_timer_at(&t[0].timer, now + 100000);
    loop_timer_by(&t[0].timer, now + 200000); /* later: no change */
    assert_int_equal(t[0].timer.at, now + 100000);
    loop_timer_by(&t[0].timer, now);
    loop_timer_by(&t[1].timer, now);
    loop_timer_at(&t[2].timer, now);
    loop_timer_at(&t[3].timer, now);
    t[0].again = &t[0]; /* not in the same round */
    t[1].stops = &t[2]; /* although it is due */
    go(&l);
    assert_string_equal(called, "abd");
    go(&l);
    assert_string_equal(called, "abda");
    loop_timer_stop(&t[0].timer);
    loop_timer_init(&t[3].timer, &l, NULL, NULL); /* only ends the wait */
    loop_timer_at(&t[3].timer, clock_mono_ms() + 5);
    go(&l);
    assert_string_equal(called, "abda");
    loop_free(&l);
}

/* ---- signals and children ---- */

static void
note_signal(void *arg, int number)
{
    (void)arg;
    note(number == SIGTERM ? 'T' : number == SIGHUP ? 'H' : '?');
}

static int
exit_with(void *arg, pid_t parent)
{
    return getppid() == parent ? *(const int *)arg : 99;
}

static void
note_end(void *arg, pid_t pid, int status)
{
    assert_true(pid > 0);
    assert_int_equal(WEXITSTATUS(status), *(const int *)arg);
    note((char)('0' + WEXITSTATUS(status)));
}

static void
signals_and_ends_of_children_are_told(void **state)
{
    (void)state;
    static const int caught[] = {SIGCHLD, SIGTERM, SIGHUP};
    struct loop l;
    struct loop_child c[2];
    int codes[] = {3, 4};
    struct err err;
    sigset_t before;
    begin(&l);
    sigprocmask(SIG_SETMASK, NULL, &before);
    signal(SIGHUP, SIG_IGN);
    assert_int_equal(loop_signals(&l, caught, 3, note_signal, NULL, &err), 0);
    raise(SIGHUP);
    raise(SIGTERM);
    while (strlen(called) < 2)
        go(&l);
    assert_string_equal(called, "HT");
    for (int i = 0; i < 2; i++)
        assert_int_equal(loop_fork(&l, &c[i], exit_with, note_end, &codes[i]), 0);
    if (fork() == 0)
        _exit(9); /* unknown to the loop: it is reaped, and that is all */
    while (strlen(called) < 4 || waitpid(-1, NULL, WNOHANG) >= 0)
        go(&l);
    assert_int_equal(c[0].pid + c[1].pid, 0);
    assert_true(strcmp(called, "HT34") == 0 || strcmp(called, "HT43") == 0);
    sigprocmask(SIG_SETMASK, &before, NULL);
    loop_free(&l);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(those_that_are_ready_are_called),
        cmocka_unit_test(one_that_is_stopped_in_a_round_is_not_called_in_it),
        cmocka_unit_test(timers_run_out_in_order),
        cmocka_unit_test(a_timer_is_set_again_pulled_forward_and_stopped),
        cmocka_unit_test(signals_and_ends_of_children_are_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
