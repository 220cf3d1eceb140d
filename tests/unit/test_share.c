#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/clock.h"
#include "util/share.h"

#define SHORT_MS 100
#define LONG_MS 60000

static int
enter(const struct share *s, unsigned place, const char *client)
{
    struct share_member m = {s, place};
    struct err err;
    int rc = share_enter(&m, client, &err);

    assert_true(rc == 0 || err.code == ERR_TOO_MANY);
    return rc;
}

static void
leave(const struct share *s, unsigned place)
{
    share_leave(&(struct share_member){s, place});
}

static void
a_client_has_three_quarters(void **state)
{
    static const unsigned most[] = {2, 3, 3, 4, 5, 6};
    struct share s;
    struct err err;

    (void)state;
    for (unsigned n = 3; n <= 8; n++) {
        unsigned held = 0;

        assert_int_equal(share_make(&s, n, SHORT_MS, &err), 0);
        while (held < n && enter(&s, held, "ann") == 0)
            held++;
        assert_int_equal(held, most[n - 3]);
        assert_int_equal(enter(&s, held, "bob"), 0);
        leave(&s, held);
        leave(&s, 0);
        assert_int_equal(enter(&s, 0, "ann"), 0);
        share_close(&s);
    }
}

/* The requests of one client, in several processes: none is refused, and the limit holds. */
static void
short_requests_wait_for_each_other(void **state)
{
    struct share s;
    struct err err;
    atomic_int *holding =
        mmap(NULL, sizeof *holding, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    assert_int_equal(share_make(&s, 4, LONG_MS, &err), 0);
    for (unsigned i = 0; i < 4; i++)
        if (fork() == 0) {
            struct share_member m = {&s, i};

            for (int k = 0; k < 100; k++) {
                if (share_enter(&m, "ann", &err) != 0)
                    _exit(1);
                if (atomic_fetch_add(holding, 1) >= 3)
                    _exit(2);
                clock_sleep_ms(1);
                atomic_fetch_sub(holding, 1);
                share_leave(&m);
            }
            _exit(0);
        }
    for (unsigned i = 0; i < 4; i++) {
        int status;

        assert_true(wait(&status) > 0);
        assert_int_equal(status, 0);
    }
    share_close(&s);
    munmap(holding, sizeof *holding);
}

static void
the_place_of_the_dead_is_free(void **state)
{
    struct share s;
    struct err err;
    int status;

    (void)state;
    assert_int_equal(share_make(&s, 3, SHORT_MS, &err), 0);
    assert_int_equal(enter(&s, 2, "ann"), 0);
    if (fork() == 0)
        _exit(enter(&s, 0, "ann") == 0 ? 0 : 1);
    assert_true(wait(&status) > 0 && status == 0);
    assert_int_equal(enter(&s, 1, "ann"), -1);
    leave(&s, 0); /* by the process that takes its place */
    assert_int_equal(enter(&s, 1, "ann"), 0);
    share_close(&s);
}

enum { BEGINS = 1, HOLDS };

/* A process that takes a place, or waits for it, until it is killed. */
static pid_t
start_member(const struct share *s, unsigned place, atomic_int *step)
{
    pid_t pid;

    *step = 0;
    pid = fork();
    assert_true(pid >= 0);
    if (pid > 0)
        return pid;
    *step = BEGINS;
    enter(s, place, "ann");
    *step = HOLDS;
    for (;;)
        pause();
}

static bool
is_asleep(pid_t pid)
{
    char path[64], state = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%d/stat", (int)pid);
    f = fopen(path, "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%*d (%*[^)]) %c", &state), 1);
    fclose(f);
    return state == 'S';
}

static void
end_member(pid_t pid)
{
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void
those_that_are_killed_leave_nothing(void **state)
{
    struct share s;
    struct err err;
    pid_t holder, waiter;
    atomic_int *step =
        mmap(NULL, sizeof *step, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

    (void)state;
    alarm(60); /* a place that isn't given back would be waited for */
    assert_int_equal(share_make(&s, 4, SHORT_MS, &err), 0);
    holder = start_member(&s, 0, step);
    while (*step != HOLDS)
        clock_sleep_ms(1);
    assert_int_equal(enter(&s, 1, "ann"), 0);
    assert_int_equal(enter(&s, 2, "ann"), 0);
    s.patience_ms = LONG_MS;
    waiter = start_member(&s, 3, step);
    while (*step != BEGINS || !is_asleep(waiter))
        clock_sleep_ms(1);
    s.patience_ms = SHORT_MS;
    end_member(waiter);
    end_member(holder);
    for (unsigned i = 0; i < 4; i++)
        leave(&s, i);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(enter(&s, i, "ann"), 0);
    assert_int_equal(enter(&s, 3, "ann"), -1);
    alarm(0);
    share_close(&s);
    munmap(step, sizeof *step);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_has_three_quarters),
        cmocka_unit_test(short_requests_wait_for_each_other),
        cmocka_unit_test(the_place_of_the_dead_is_free),
        cmocka_unit_test(those_that_are_killed_leave_nothing),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
