#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/retention/pull_memory.h"
#include "util/random.h"

#define NOW UINT64_C(1700000000000)

static struct pull_memory memory;

static int
setup_memory(void **state)
{
    struct err err;

    (void)state;
    return pull_memory_make(&memory, &err);
}

static int
end_memory(void **state)
{
    (void)state;
    pull_memory_close(&memory);
    return 0;
}

/* Reads all of it. */
static size_t
read_all(struct pull_memory_entry *v, size_t max)
{
    size_t at = 0;

    return pull_memory_read(&memory, &at, v, max);
}

static void
a_pull_is_there_until_it_was_written_down(void **state)
{
    struct pull_memory_entry e[2];

    (void)state;
    assert_false(pull_memory_has_any(&memory));
    assert_int_equal(read_all(e, 2), 0);
    assert_false(pull_memory_note(&memory, 7, "latest", NOW + 1));
    pull_memory_note(&memory, 7, "latest", NOW + 2);
    assert_true(pull_memory_has_any(&memory));
    assert_int_equal(read_all(e, 2), 1);
    assert_int_equal(e[0].repo, 7);
    assert_string_equal(e[0].name, "latest");
    assert_int_equal(e[0].last, NOW);
    pull_memory_wrote(&memory, &e[0]);
    assert_int_equal(read_all(e, 2), 0);
    assert_false(pull_memory_has_any(&memory));

    pull_memory_note(&memory, 7, "latest", NOW + 5000);
    assert_int_equal(read_all(e, 2), 1);
    assert_int_equal(e[0].last, NOW + 5000);
    assert_int_equal(pull_memory_forgotten(&memory), 0);
}

static void
a_pull_while_it_is_written_down_is_not_lost(void **state)
{
    struct pull_memory_entry e[2];

    (void)state;
    pull_memory_note(&memory, 7, "latest", NOW);
    assert_int_equal(read_all(e, 2), 1);
    pull_memory_note(&memory, 7, "latest", NOW + 1000);
    pull_memory_wrote(&memory, &e[0]);
    assert_int_equal(read_all(e, 2), 1);
    assert_int_equal(e[0].last, NOW + 1000);
}

static void
names_and_repositories_are_told_apart(void **state)
{
    struct pull_memory_entry e[8];
    char longest[PULL_MEMORY_NAME + 1];

    (void)state;
    memset(longest, 'a', sizeof longest);
    longest[PULL_MEMORY_NAME] = '\0';
    pull_memory_note(&memory, 1, longest, NOW); /* too long: nothing */
    longest[PULL_MEMORY_NAME - 1] = '\0';
    pull_memory_note(&memory, 1, longest, NOW);
    longest[PULL_MEMORY_NAME - 2] = '\0';
    pull_memory_note(&memory, 1, longest, NOW);
    pull_memory_note(&memory, 1, "a", NOW);
    pull_memory_note(&memory, 2, "a", NOW);
    pull_memory_note(&memory, 2, "b", NOW);
    assert_int_equal(read_all(e, 8), 5);
}

/* More names than fit: each is found, or it is known that something was forgotten. */
static void
a_full_memory_says_so(void **state)
{
    static struct pull_memory_entry e[PULL_MEMORY_SLOTS];
    char name[16];
    bool filling = false;
    size_t n = 0;

    (void)state;
    while (!filling) {
        snprintf(name, sizeof name, "t%zu", n++);
        filling = pull_memory_note(&memory, 1, name, NOW);
    }
    assert_int_equal(n, PULL_MEMORY_SLOTS / 8);
    assert_int_equal(pull_memory_forgotten(&memory), 0);
    for (; n < 3 * PULL_MEMORY_SLOTS; n++) {
        snprintf(name, sizeof name, "t%zu", n);
        pull_memory_note(&memory, 1, name, NOW + 1000);
    }
    assert_int_equal(pull_memory_forgotten(&memory), NOW + 1000);
    assert_in_range(read_all(e, PULL_MEMORY_SLOTS), PULL_MEMORY_SLOTS * 9 / 10, PULL_MEMORY_SLOTS);

    /* When they were written down there is room again, in the slots of other names. */
    n = read_all(e, PULL_MEMORY_SLOTS);
    for (size_t i = 0; i < n; i++)
        pull_memory_wrote(&memory, &e[i]);
    assert_false(pull_memory_has_any(&memory));
    for (size_t i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "u%zu", i);
        pull_memory_note(&memory, 1, name, NOW + 2000);
    }
    assert_int_equal(read_all(e, PULL_MEMORY_SLOTS), 100);
    assert_int_equal(pull_memory_forgotten(&memory), NOW + 1000);
}

/* ---- many processes ---- */

#define NAMES 40000
#define PROCESSES 4
#define KILLS 40

struct board {
    atomic_ulong second;       /* the time */
    atomic_ulong noted[NAMES]; /* the second of the last pull that was noted for certain */
};

static void
pull_for_ever(struct board *b, unsigned seed)
{
    char name[16];

    for (;;) {
        unsigned i;
        unsigned long second = atomic_fetch_add(&b->second, 1), before;

        seed = seed * 1103515245u + 12345u;
        i = (seed >> 8) % (second % 8 < 7 ? 300 : NAMES);
        snprintf(name, sizeof name, "t%u", i);
        pull_memory_note(&memory, 1, name, NOW + second * 1000);
        before = b->noted[i];
        while (before < second && !atomic_compare_exchange_weak(&b->noted[i], &before, second))
            continue;
    }
}

static void
write_down(unsigned long *written)
{
    static struct pull_memory_entry e[64];
    size_t at = 0, n;

    do {
        n = pull_memory_read(&memory, &at, e, 64);
        for (size_t i = 0; i < n; i++) {
            unsigned k;
            unsigned long second = (unsigned long)((e[i].last - NOW) / 1000);

            assert_int_equal(sscanf(e[i].name, "t%u", &k), 1);
            assert_in_range(k, 0, NAMES - 1);
            if (second > written[k])
                written[k] = second;
            pull_memory_wrote(&memory, &e[i]);
        }
    } while (n == 64);
}

static void
processes_that_die_lose_nothing(void **state)
{
    static unsigned long written[NAMES];
    struct board *b =
        mmap(NULL, sizeof *b, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t pids[PROCESSES];
    unsigned pulled = 0;

    (void)state;
    assert_true(b != MAP_FAILED);
    b->second = 1;
    for (unsigned i = 0; i < PROCESSES + KILLS; i++) {
        unsigned p = i % PROCESSES;

        if (i >= PROCESSES) {
            unsigned long until = b->second + 2000;

            while (b->second < until)
                write_down(written);
            kill(pids[p], SIGKILL);
            waitpid(pids[p], NULL, 0);
        }
        pids[p] = fork();
        if (pids[p] == 0)
            pull_for_ever(b, i + 1);
    }
    for (unsigned p = 0; p < PROCESSES; p++) {
        kill(pids[p], SIGKILL);
        waitpid(pids[p], NULL, 0);
    }
    write_down(written);
    for (unsigned i = 0; i < NAMES; i++) {
        uint64_t forgotten = pull_memory_forgotten(&memory);

        pulled += b->noted[i] > 0;
        if (written[i] < b->noted[i] && NOW + b->noted[i] * 1000 > forgotten)
            fail_msg("t%u was pulled at %lu, and %lu is written down", i,
                     (unsigned long)b->noted[i], written[i]);
    }
    assert_true(pulled > 300);
    munmap(b, sizeof *b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_pull_is_there_until_it_was_written_down, setup_memory,
                                        end_memory),
        cmocka_unit_test_setup_teardown(a_pull_while_it_is_written_down_is_not_lost, setup_memory,
                                        end_memory),
        cmocka_unit_test_setup_teardown(names_and_repositories_are_told_apart, setup_memory,
                                        end_memory),
        cmocka_unit_test_setup_teardown(a_full_memory_says_so, setup_memory, end_memory),
        cmocka_unit_test_setup_teardown(processes_that_die_lose_nothing, setup_memory, end_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
