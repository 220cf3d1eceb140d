#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/master/children.h"
#include "process/server/child.h"
#include "util/mem.h"

#define WATCHDOG_MS 1000
#define EXITED(code) ((code) << 8) /* waitpid's status */

static struct options options = {.workers = 2,
                                 .bulk_workers = 1,
                                 .browse_workers = 1,
                                 .hook_jobs = 1,
                                 .watchdog_ms = WATCHDOG_MS};
static struct server server = {.options = &options, .exchange = {.give = -1, .take = -1}};
static struct loop loop;
static struct children children;
static char log_text[4000];

/* All serve, says the table, although no process was started. */
static struct children_member *
begin(void)
{
    struct err err;
    for (int pool = 0; pool < POOL_COUNT; pool++)
        server.sockets[pool] = -1;
    server.dir.fd = AT_FDCWD;
    loop_init(&loop);
    assert_int_equal(children_init(&children, &server, &loop, &err), 0);
    children.state = CHILDREN_SERVING;
    for (size_t i = 0; i < children.n; i++)
        children.v[i].start_at = UINT64_MAX;
    return &children.v[0];
}

static void
end(void)
{
    children_free(&children);
    loop_free(&loop);
}

static void
die(struct children_member *m, bool in_db, int status)
{
    int ends[2], before = dup(STDERR_FILENO);
    assert_int_equal(pipe(ends), 0);
    dup2(ends[1], STDERR_FILENO);
    atomic_store(&m->slot->in_db, in_db);
    children_member_died(m, 12345, status);
    dup2(before, STDERR_FILENO);
    close(before);
    close(ends[1]);
    ssize_t n = read(ends[0], log_text, sizeof log_text - 1);
    log_text[n > 0 ? n : 0] = '\0';
    close(ends[0]);
}

static void
a_death_outside_costs_one_process(void **state)
{
    (void)state;
    struct children_member *m = begin();
    die(m, false, SIGSEGV);
    assert_int_equal(children.state, CHILDREN_SERVING);
    assert_int_equal(m->start_at, loop_now(&loop));
    assert_int_equal(children.deaths_outside, 1);
    assert_non_null(
        strstr(log_text, "msg=\"process died\" name=\"worker api 1\" pid=12345 signal=11"));
    die(m, false, EXITED(CHILD_DONE));
    assert_int_equal(children.deaths_outside, 1);
    end();
}

static void
a_death_inside_is_a_reason_to_recover(void **state)
{
    (void)state;
    struct children_member *m = begin();
    die(m, true, SIGKILL);
    assert_int_equal(children.state, CHILDREN_KILLING);
    assert_int_equal(children.recover_at, loop_now(&loop));
    end();
    m = begin();
    die(m, false, EXITED(CHILD_LOST)); /* it says so itself */
    assert_int_equal(children.state, CHILDREN_KILLING);
    end();
}

static void
without_memory_is_a_death_like_any_other(void **state)
{
    (void)state;
    struct children_member *m = begin();
    die(m, false, EXITED(MEM_EXIT));
    assert_non_null(strstr(log_text, "process died: out of memory"));
    assert_int_equal(children.state, CHILDREN_SERVING);
    assert_int_equal(children.deaths_outside, 1);
    die(m, true, EXITED(MEM_EXIT));
    assert_non_null(strstr(log_text, "process died: out of memory"));
    assert_non_null(strstr(log_text, "recovering the database"));
    assert_int_equal(children.state, CHILDREN_KILLING);
    end();
}

static void
many_deaths_outside_are_a_reason_to_recover(void **state)
{
    (void)state;
    struct children_member *m = begin();
    int n = 0;
    for (; children.state == CHILDREN_SERVING && n < 1000; n++)
        die(m, false, SIGKILL);
    assert_int_equal(n, 20);
    end();
}

static void
connections_without_a_worker_are_closed(void **state)
{
    int ends[2];
    char byte;
    struct err err;
    (void)state;
    begin();
    assert_int_equal(fd_exchange_make(&server.exchange, 1, &err), 0);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
    assert_true(fd_exchange_give(&server.exchange, ends[0], 0));
    children.served_at[POOL_API] = loop_now(&loop); /* a worker may come soon */
    children_tick(&children);
    assert_int_equal(read(ends[1], &byte, 1), -1);
    children.served_at[POOL_API] = loop_now(&loop) - 60000;
    children_tick(&children);
    assert_int_equal(read(ends[1], &byte, 1), 0);
    close(ends[1]);
    fd_exchange_close(&server.exchange);
    end();
}

/* ---- the watchdog ---- */

static void
be_inside_since(struct children_member *m, pid_t pid, uint64_t since)
{
    m->child.pid = pid;
    atomic_store(&m->slot->since_ms, since);
    atomic_store(&m->slot->in_db, true);
}

static pid_t
process_that_waits(void)
{
    pid_t pid = fork();
    if (pid == 0) {
        for (;;)
            pause();
    }
    assert_true(pid > 0);
    return pid;
}

static void
a_process_that_hangs_inside_is_killed(void **state)
{
    (void)state;
    struct children_member *m = begin();
    pid_t pid = process_that_waits();
    int status;
    be_inside_since(m, pid, loop.now - WATCHDOG_MS);
    children_tick(&children);
    assert_int_equal(children.state, CHILDREN_SERVING);
    loop.now++;
    children_tick(&children);
    assert_int_equal(children.state, CHILDREN_KILLING);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WTERMSIG(status), SIGKILL);
    end();
}

static void
while_a_debugger_holds_a_process_none_is_killed(void **state)
{
    (void)state;
    struct children_member *m = begin();
    pid_t debugged = process_that_waits(), other = process_that_waits();
    int status;
    if (ptrace(PTRACE_SEIZE, debugged, NULL, NULL) < 0) {
        kill(debugged, SIGKILL);
        kill(other, SIGKILL);
        end();
        skip(); /* this machine allows no tracing */
    }
    be_inside_since(&m[0], debugged, loop.now);
    be_inside_since(&m[1], other, loop.now); /* it waits for what the first one holds, say */
    for (int i = 0; i < 10; i++) {
        loop.now += WATCHDOG_MS;
        children_tick(&children);
        assert_int_equal(children.state, CHILDREN_SERVING);
    }
    /* And so it is for a while after the debugger is gone. */
    kill(debugged, SIGKILL);
    assert_int_equal(waitpid(debugged, &status, 0), debugged);
    m[0].child.pid = 0;
    loop.now = children.spared_at + WATCHDOG_MS;
    children_tick(&children);
    assert_int_equal(children.state, CHILDREN_SERVING);
    loop.now++;
    children_tick(&children);
    assert_int_equal(children.state, CHILDREN_KILLING);
    assert_int_equal(waitpid(other, &status, 0), other);
    end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_death_outside_costs_one_process),
        cmocka_unit_test(a_death_inside_is_a_reason_to_recover),
        cmocka_unit_test(without_memory_is_a_death_like_any_other),
        cmocka_unit_test(connections_without_a_worker_are_closed),
        cmocka_unit_test(many_deaths_outside_are_a_reason_to_recover),
        cmocka_unit_test(a_process_that_hangs_inside_is_killed),
        cmocka_unit_test(while_a_debugger_holds_a_process_none_is_killed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
