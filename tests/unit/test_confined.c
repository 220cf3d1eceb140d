#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include "util/confined.h"
#include "util/fdio.h"
#include "util/mem.h"

static const struct confined_limits limits = {.memory = 512u << 20, .seconds = 1};
static struct err err;
static char why[100];

static int
run(void (*fn)(void *arg, void *answer), void *arg, int fd, int *answer)
{
    return confined_run(fn, arg, fd, &limits, answer, sizeof *answer, why, sizeof why, &err);
}

static void
answer_arg(void *arg, void *answer)
{
    *(int *)answer = *(int *)arg + 1;
    *(int *)arg = 0;
}

static void
the_answer_comes_back_and_nothing_else(void **state)
{
    int arg = 41, answer = 0;

    (void)state;
    assert_int_equal(run(answer_arg, &arg, STDERR_FILENO, &answer), 1);
    assert_int_equal(answer, 42);
    assert_int_equal(arg, 41);
}

static void
try_fds(void *arg, void *answer)
{
    const int *fds = arg;

    *(int *)answer = (fcntl(fds[0], F_GETFD) >= 0) + 2 * (fcntl(fds[1], F_GETFD) >= 0) +
                     4 * (fcntl(fds[2], F_GETFD) >= 0);
}

static void
it_has_one_descriptor_of_ours(void **state)
{
    int fds[3], answer = 0;

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_true((fds[i] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
    assert_int_equal(run(try_fds, fds, fds[1], &answer), 1);
    assert_int_equal(answer, 2);
    for (int i = 0; i < 3; i++)
        fdio_close(fds[i]);
}

static void
write_to(void *arg, void *answer)
{
    *(volatile int *)arg = 7;
    *(int *)answer = 1;
}

/* As the database's regions are. */
static void
memory_that_others_share_is_out_of_its_reach(void **state)
{
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int answer = 0;

    (void)state;
    assert_true(shared != MAP_FAILED);
    assert_int_equal(run(write_to, shared, STDERR_FILENO, &answer), 0);
    assert_int_equal(*shared, 0);
    assert_int_equal(answer, 0);
    munmap(shared, 4096);
}

static void
never_end(void *arg, void *answer)
{
    (void)arg;
    for (volatile unsigned i = 0;; i++)
        *(volatile unsigned *)answer = i;
}

static void
what_never_ends_is_ended(void **state)
{
    int answer = 0;

    (void)state;
    assert_int_equal(run(never_end, NULL, STDERR_FILENO, &answer), 0);
    assert_string_equal(why, "it took too long");
}

static const struct confined_limits background = {
    .memory = 512u << 20, .seconds = 5, .file = 10000, .background = true};

static enum confined_end
wait_for(struct confined *c)
{
    struct pollfd ended = {.fd = c->ended, .events = POLLIN};
    enum confined_end end = CONFINED_DIED;

    assert_int_equal(poll(&ended, 1, 20000), 1);
    assert_int_equal(confined_ended(c, &end, why), 1);
    return end;
}

#ifndef __SANITIZE_ADDRESS__
static void
take_memory(void *arg, void *answer)
{
    size_t n = *(const size_t *)arg;
    char *p = malloc(n);

    if (p != NULL)
        memset(p, 1, n);
    *(int *)answer = p != NULL;
    free(p);
}

static void
memory_has_an_end(void **state)
{
    size_t much = 600u << 20, little = 100u << 20;
    int answer = 1;

    (void)state;
    assert_int_equal(run(take_memory, &much, STDERR_FILENO, &answer), 1);
    assert_int_equal(answer, 0);
    assert_int_equal(run(take_memory, &little, STDERR_FILENO, &answer), 1);
    assert_int_equal(answer, 1);
}

static void
take_mem(void *arg, void *answer)
{
    free(mem_alloc(*(const size_t *)arg));
    *(int *)answer = 1;
}

static void
a_failed_allocation_is_told_apart(void **state)
{
    size_t much = 600u << 20;
    struct confined c;

    (void)state;
    assert_int_equal(confined_start(&c, take_mem, &much, NULL, 0, &background, 4, &err), 0);
    assert_int_equal(wait_for(&c), CONFINED_GREEDY);
    assert_string_equal(why, "it needed too much memory");
    confined_stop(&c);
}
#endif

static void
die(void *arg, void *answer)
{
    (void)answer;
    if (arg != NULL)
        _exit(3);
    kill(getpid(), SIGTERM);
}

static void
how_it_died_is_told(void **state)
{
    int answer = 0;

    (void)state;
    assert_int_equal(run(die, why, STDERR_FILENO, &answer), 0);
    assert_string_equal(why, "it ended with exit code 3");
    assert_int_equal(run(die, NULL, STDERR_FILENO, &answer), 0);
    assert_string_equal(why, "it ended with signal 15");
}

/* ---- without waiting ---- */

struct job {
    int fds[3], number;
};

static void
tell(void *arg, void *answer)
{
    const struct job *j = arg;
    int *out = answer;

    out[0] = j->number;
    out[1] = getpriority(PRIO_PROCESS, 0);
    for (int i = 0; i < 3; i++)
        out[2 + i] = fcntl(j->fds[i], F_GETFD) >= 0;
}

static void
some_run_at_the_same_time(void **state)
{
    struct job jobs[3];
    struct confined children[3];

    (void)state;
    for (int i = 0; i < 3; i++) {
        jobs[i].number = i;
        for (int k = 0; k < 3; k++)
            assert_true((jobs[i].fds[k] = open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0);
        const int fds[] = {jobs[i].fds[2], jobs[i].fds[0]};
        assert_int_equal(confined_start(&children[i], tell, &jobs[i], fds, 2, &background,
                                        5 * sizeof(int), &err),
                         0);
    }
    for (int i = 3; i-- > 0;) {
        assert_int_equal(wait_for(&children[i]), CONFINED_DONE);
        const int *answer = children[i].answer;
        assert_int_equal(answer[0], i);
        assert_int_equal(answer[1], 19);
        assert_true(answer[2] && !answer[3] && answer[4]);
        confined_stop(&children[i]);
        for (int k = 0; k < 3; k++)
            fdio_close(jobs[i].fds[k]);
    }
}

static void
write_much(void *arg, void *answer)
{
    char bytes[6000] = {0};

    for (int i = 0; i < 3; i++)
        if (write(*(int *)arg, bytes, sizeof bytes) < 0)
            *(int *)answer = 1;
}

static void
a_file_has_an_end(void **state)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    struct confined c;

    (void)state;
    assert_true(fd >= 0);
    assert_int_equal(confined_start(&c, write_much, &fd, &fd, 1, &background, 4, &err), 0);
    assert_int_equal(wait_for(&c), CONFINED_LARGE);
    assert_string_equal(why, "it wrote too much");
    assert_int_equal(lseek(fd, 0, SEEK_END), 10000);
    confined_stop(&c);
    fdio_close(fd);
}

static void
who_is_killed_by_others_did_nothing_wrong(void **state)
{
    struct confined c;
    enum confined_end end;

    (void)state;
    assert_int_equal(confined_start(&c, never_end, NULL, NULL, 0, &background, 4, &err), 0);
    assert_int_equal(confined_ended(&c, &end, why), 0);
    kill(c.pid, SIGKILL);
    assert_int_equal(wait_for(&c), CONFINED_KILLED);
    assert_string_equal(why, "it was killed");
    confined_stop(&c);
}

static void
who_is_stopped_is_gone(void **state)
{
    struct confined c;
    pid_t pid;

    (void)state;
    assert_int_equal(confined_start(&c, never_end, NULL, NULL, 0, &background, 4, &err), 0);
    pid = c.pid;
    confined_stop(&c);
    assert_int_equal(kill(pid, 0), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_answer_comes_back_and_nothing_else),
        cmocka_unit_test(it_has_one_descriptor_of_ours),
        cmocka_unit_test(memory_that_others_share_is_out_of_its_reach),
        cmocka_unit_test(what_never_ends_is_ended),
#ifndef __SANITIZE_ADDRESS__
        cmocka_unit_test(memory_has_an_end),
        cmocka_unit_test(a_failed_allocation_is_told_apart),
#endif
        cmocka_unit_test(how_it_died_is_told),
        cmocka_unit_test(some_run_at_the_same_time),
        cmocka_unit_test(a_file_has_an_end),
        cmocka_unit_test(who_is_killed_by_others_did_nothing_wrong),
        cmocka_unit_test(who_is_stopped_is_gone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
