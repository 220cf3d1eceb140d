#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "util/buf.h"
#include "util/clock.h"
#include "util/fdio.h"
#include "util/spawn.h"

static const char *const no_environment[] = {NULL};

static struct spawn
shell(const char *const argv[4])
{
    return (struct spawn){
        .path = "/bin/sh", .argv = argv, .envp = no_environment, .dirfd = AT_FDCWD, .in = -1};
}

/* All that the program says, until everybody has closed the pipe. */
static void
read_all(int out, struct buf *b)
{
    char piece[4096];
    ssize_t n;

    buf_init(b, 1u << 20);
    for (;;) {
        struct pollfd p = {.fd = out, .events = POLLIN};

        assert_int_equal(poll(&p, 1, 20000), 1);
        n = read(out, piece, sizeof piece);
        if (n <= 0)
            break;
        buf_put(b, piece, (size_t)n);
    }
    assert_int_equal(n, 0);
    close(out);
}

/* Runs a script to its end, and gives its status. */
static int
run(struct spawn *s, const char *script, struct buf *said)
{
    const char *const argv[] = {"sh", "-c", script, NULL};
    struct err err;
    pid_t pid;
    int out, status;

    s->argv = argv;
    if (spawn_start(s, &pid, &out, &err) != 0)
        fail_msg("%s", err.message);
    read_all(out, said);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return status;
}

static void
it_says_what_it_has_to_say_on_both_ways(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;

    (void)state;
    assert_int_equal(run(&s, "echo one; echo two >&2; exit 7", &said), 7 << 8);
    assert_string_equal(buf_text(&said), "one\ntwo\n");
    buf_free(&said);
}

static void
its_stdin_is_empty_or_what_was_given(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;
    int ends[2];

    (void)state;
    assert_int_equal(run(&s, "cat; echo .", &said), 0);
    assert_string_equal(buf_text(&said), ".\n");
    buf_free(&said);

    assert_int_equal(pipe(ends), 0);
    assert_int_equal(write(ends[1], "given", 5), 5);
    close(ends[1]);
    s.in = ends[0];
    assert_int_equal(run(&s, "cat", &said), 0);
    assert_string_equal(buf_text(&said), "given");
    buf_free(&said);
    assert_int_equal(fcntl(ends[0], F_GETFD), 0); /* stays ours */
    close(ends[0]);
}

static void
it_has_none_of_our_descriptors(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;
    int more[20];

    (void)state;
    for (int i = 0; i < 20; i++) {
        more[i] = fcntl(STDOUT_FILENO, F_DUPFD, 10 + 11 * i); /* no CLOEXEC */
        assert_true(more[i] >= 0);
    }
    assert_int_equal(run(&s,
                         "i=0; while [ $i -lt 300 ]; do "
                         "if [ -e /proc/$$/fd/$i ]; then echo $i; fi; i=$((i + 1)); done",
                         &said),
                     0);
    assert_string_equal(buf_text(&said), "0\n1\n2\n");
    buf_free(&said);
    for (int i = 0; i < 20; i++)
        close(more[i]);
}

/* As a daemon may be started. */
static void
it_runs_even_if_we_have_no_stdin_and_stdout(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;
    int kept[2] = {dup(0), dup(1)};

    (void)state;
    close(0);
    close(1);
    int status = run(&s, "read x; echo \"[$x]\"", &said);
    dup2(kept[0], 0);
    dup2(kept[1], 1);
    close(kept[0]);
    close(kept[1]);
    assert_int_equal(status, 0);
    assert_string_equal(buf_text(&said), "[]\n");
    buf_free(&said);
}

static void
its_environment_is_the_one_that_was_given(void **state)
{
    static const char *const envp[] = {"ONE=a 'b' $(c)\nd", NULL};
    static const char *const argv[] = {"env", NULL};
    struct spawn s = {
        .path = "/usr/bin/env", .argv = argv, .envp = envp, .dirfd = AT_FDCWD, .in = -1};
    struct err err;
    struct buf said;
    pid_t pid;
    int out;

    (void)state;
    assert_int_equal(spawn_start(&s, &pid, &out, &err), 0);
    read_all(out, &said);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
    assert_string_equal(buf_text(&said), "ONE=a 'b' $(c)\nd\n");
    buf_free(&said);
}

static void
it_starts_where_it_is_told_to(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;

    (void)state;
    s.dirfd = open("/usr/bin", O_PATH | O_DIRECTORY | O_CLOEXEC);
    assert_true(s.dirfd >= 0);
    assert_int_equal(run(&s, "pwd -P", &said), 0);
    assert_string_equal(buf_text(&said), "/usr/bin\n");
    buf_free(&said);
    close(s.dirfd);
}

/* A worker ignores some signals and blocks others; a program wants to die of SIGPIPE. */
static void
signals_do_to_it_what_they_usually_do(void **state)
{
    struct spawn s = shell(NULL);
    struct buf said;
    sigset_t set, before;

    (void)state;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, &before);
    signal(SIGPIPE, SIG_IGN);
    /* The first 28; two behind belong to the C library. */
    assert_int_equal(run(&s, "grep -E '^Sig(Blk|Ign)' /proc/$$/status | grep -o '.......$'", &said),
                     0);
    assert_string_equal(buf_text(&said), "0000000\n0000000\n");
    buf_free(&said);
    assert_int_equal(run(&s, "kill $$", &said), SIGTERM);
    buf_free(&said);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &before, NULL);
}

static void
what_cannot_run_is_an_error_and_leaves_nothing(void **state)
{
    static const struct {
        const char *path;
        int sys;
    } cases[] = {
        {"/nowhere/at/all", ENOENT},
        {"/etc/passwd", EACCES},
        {"/usr/bin", EACCES},
    };
    const char *const argv[] = {"x", NULL};
    int next = dup(0);

    (void)state;
    close(next);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct spawn s = {.path = cases[i].path,
                          .argv = argv,
                          .envp = no_environment,
                          .dirfd = AT_FDCWD,
                          .in = -1};
        struct err err;
        pid_t pid;
        int out;

        assert_int_equal(spawn_start(&s, &pid, &out, &err), -1);
        assert_int_equal(err.sys, cases[i].sys);
        assert_non_null(strstr(err.message, cases[i].path));
        assert_int_equal(pid, -1);
        assert_int_equal(out, -1);
        assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child */
        int now = dup(0);
        assert_int_equal(now, next); /* no descriptor */
        close(now);
    }
}

static void
it_is_killed_with_all_that_it_started(void **state)
{
    const char *const argv[] = {"sh", "-c", "sleep 300 & sleep 300 & echo up; wait", NULL};
    struct spawn s = shell(argv);
    struct buf said;
    struct err err;
    char up[3];
    pid_t pid;
    int out, status;

    (void)state;
    assert_int_equal(spawn_start(&s, &pid, &out, &err), 0);
    assert_int_equal(getpgid(pid), pid);
    struct pollfd p = {.fd = out, .events = POLLIN};
    assert_int_equal(poll(&p, 1, 20000), 1);
    assert_int_equal(read(out, up, sizeof up), 3);
    spawn_kill(pid);
    read_all(out, &said); /* ends only when all three are gone */
    buf_free(&said);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
}

/* The program has a pipe's writing end as its stdin: that is gone when the program is. */
static void
it_dies_with_us_when_asked_to(void **state)
{
    const char *const argv[] = {"sh", "-c", "exec sleep 300", NULL};
    struct spawn s = shell(argv);
    struct buf said;
    int ends[2], status;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    s.in = ends[1];
    s.dies_with_us = true;
    pid_t middle = fork();
    if (middle == 0) {
        struct err err;
        pid_t pid;
        int out;

        _exit(spawn_start(&s, &pid, &out, &err) == 0 ? 5 : 1);
    }
    close(ends[1]);
    read_all(ends[0], &said);
    buf_free(&said);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 5 << 8);
}

/* The program's child has the pipe, too. */
static void
on_a_leash_its_children_die_with_us(void **state)
{
    const char *const argv[] = {"sh", "-c", "sleep 300 <&0 & sleep 300", NULL};
    struct spawn s = shell(argv);
    struct buf said;
    int ends[2], status;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    s.in = ends[1];
    pid_t middle = fork();
    if (middle == 0) {
        struct err err;
        pid_t pid, leash;
        int out;

        close(ends[0]);
        _exit(spawn_start(&s, &pid, &out, &err) == 0 && spawn_leash(pid, &leash, &err) >= 0 ? 5
                                                                                            : 1);
    }
    close(ends[1]);
    read_all(ends[0], &said);
    buf_free(&said);
    assert_int_equal(waitpid(middle, &status, 0), middle);
    assert_int_equal(status, 5 << 8);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_says_what_it_has_to_say_on_both_ways),
        cmocka_unit_test(its_stdin_is_empty_or_what_was_given),
        cmocka_unit_test(it_has_none_of_our_descriptors),
        cmocka_unit_test(it_runs_even_if_we_have_no_stdin_and_stdout),
        cmocka_unit_test(its_environment_is_the_one_that_was_given),
        cmocka_unit_test(it_starts_where_it_is_told_to),
        cmocka_unit_test(signals_do_to_it_what_they_usually_do),
        cmocka_unit_test(what_cannot_run_is_an_error_and_leaves_nothing),
        cmocka_unit_test(it_is_killed_with_all_that_it_started),
        cmocka_unit_test(it_dies_with_us_when_asked_to),
        cmocka_unit_test(on_a_leash_its_children_die_with_us),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
