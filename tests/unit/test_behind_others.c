#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <unistd.h>
#include <cmocka.h>
#include "util/behind_others.h"

struct seen {
    pid_t thread;
    int nice;
    int rc;
};

static int
look_around(void *arg)
{
    struct seen *s = arg;

    s->thread = gettid();
    errno = 0;
    s->nice = getpriority(PRIO_PROCESS, (id_t)gettid());
    return s->rc;
}

static void
the_work_yields_to_others_and_the_caller_keeps_its_place(void **state)
{
    struct seen s = {.rc = -7};
    int before = getpriority(PRIO_PROCESS, (id_t)gettid());

    (void)state;
    assert_int_equal(behind_others(look_around, &s), -7);
    assert_int_not_equal(s.thread, gettid());
    assert_int_equal(s.nice, before + 10 < 19 ? before + 10 : 19);
    assert_int_equal(getpriority(PRIO_PROCESS, (id_t)gettid()), before);
}

#ifndef __SANITIZE_ADDRESS__
static void
without_a_thread_the_caller_does_it(void **state)
{
    struct rlimit was, tiny;
    struct seen s = {.rc = 3};

    (void)state;
    /* No room for a thread's stack. */
    assert_int_equal(getrlimit(RLIMIT_AS, &was), 0);
    tiny = (struct rlimit){.rlim_cur = 1 << 20, .rlim_max = was.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_AS, &tiny), 0);
    assert_int_equal(behind_others(look_around, &s), 3);
    assert_int_equal(setrlimit(RLIMIT_AS, &was), 0);
    assert_int_equal(s.thread, gettid());
}
#endif

int
main(void)
{
    const struct CMUnitTest tests[] = {
#ifndef __SANITIZE_ADDRESS__
        /* The first, because the library keeps the stack of a thread that has ended. */
        cmocka_unit_test(without_a_thread_the_caller_does_it),
#endif
        cmocka_unit_test(the_work_yields_to_others_and_the_caller_keeps_its_place),
    };
    return cmocka_run_group_tests_name("behind_others", tests, NULL, NULL);
}
