#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/semaphore.h"

static struct semaphore seats;
static int ready[2];

/* In a process of its own: takes one, says which, and stays. */
static pid_t
sit(void)
{
    pid_t pid = fork();

    if (pid == 0) {
        char seat = (char)semaphore_take(&seats);

        _exit(write(ready[1], &seat, 1) == 1 ? pause() : 1);
    }
    return pid;
}

static int
told(void)
{
    signed char seat;

    assert_int_equal(read(ready[0], &seat, 1), 1);
    return seat;
}

static void
leave(pid_t pid)
{
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
}

static void
there_are_so_many_and_the_dead_have_none(void **state)
{
    struct err err;
    pid_t a, b, c;
    int first, second;

    (void)state;
    assert_int_equal(pipe(ready), 0);
    assert_int_equal(semaphore_make(&seats, 2, &err), 0);
    a = sit();
    first = told();
    b = sit();
    second = told();
    assert_true(first >= 0 && second >= 0 && first != second);
    c = sit();
    assert_int_equal(told(), -1);
    leave(c);
    leave(a);
    c = sit();
    assert_int_equal(told(), first);
    leave(b);
    leave(c);
    semaphore_close(&seats);
}

static void
one_that_is_left_is_free(void **state)
{
    struct err err;
    pid_t a;
    int mine;

    (void)state;
    assert_int_equal(semaphore_make(&seats, 1, &err), 0);
    mine = semaphore_take(&seats);
    assert_int_equal(mine, 0);
    a = sit();
    assert_int_equal(told(), -1);
    leave(a);
    semaphore_leave(&seats, mine);
    a = sit();
    assert_int_equal(told(), 0);
    leave(a);
    semaphore_close(&seats);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_are_so_many_and_the_dead_have_none),
        cmocka_unit_test(one_that_is_left_is_free),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
