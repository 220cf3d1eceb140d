#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "process/herald/herald_job.h"
#include "process/herald/herald_log.h"
#include "process/herald/herald_ring.h"
#include "util/clock.h"

static struct loop loop;

static void
go(void)
{
    struct err err;
    assert_int_equal(loop_wait(&loop, &err), 0);
}

/* ---- the log ---- */

static void
lines_come_out_whole_and_in_order(void **state)
{
    (void)state;
    struct herald_log l;
    int p[2];
    char got[100] = "";
    assert_int_equal(pipe(p), 0);
    loop_init(&loop);
    herald_log_init(&l, &loop, p[1]);
    assert_int_equal(l.writable.place, 0); /* nothing to write: not watched */
    herald_log_put(&l, bytes_str("one\n"));
    herald_log_put(&l, bytes_str("two\n"));
    go();
    assert_int_equal(l.writable.place, 0);
    assert_int_equal(read(p[0], got, sizeof got), 8);
    assert_string_equal(got, "one\ntwo\n");
    herald_log_free(&l);
    loop_free(&loop);
    close(p[0]);
    close(p[1]);
}

static void
a_log_that_nobody_reads_is_bounded_and_blocks_nobody(void **state)
{
    (void)state;
    struct herald_log l;
    struct loop_timer now;
    int p[2];
    size_t put = 0, taken = 0;
    char bytes[4096];
    ssize_t n;
    assert_int_equal(pipe(p), 0);
    assert_int_equal(fcntl(p[0], F_SETFL, O_NONBLOCK), 0);
    loop_init(&loop);
    loop_timer_init(&now, &loop, NULL, NULL);
    herald_log_init(&l, &loop, p[1]);
    while (l.lost < 1000) {
        herald_log_put(&l, bytes_str("a line that nobody reads\n"));
        loop_timer_at(&now, 0);
        go();
        assert_true(++put < 1000000);
    }
    assert_in_range(l.text.n, HERALD_LOG_MAX - 100, HERALD_LOG_MAX);
    while ((n = read(p[0], bytes, sizeof bytes)) > 0 || l.text.n > 0) {
        taken += n > 0 ? (size_t)n : 0;
        loop_timer_at(&now, 0);
        go();
    }
    assert_int_equal(taken, (put - 1000) * strlen("a line that nobody reads\n"));
    herald_log_put(&l, bytes_str("again\n"));
    assert_int_equal(l.lost, 0);
    go();
    assert_int_equal(read(p[0], bytes, sizeof bytes), 6);
    herald_log_free(&l);
    loop_free(&loop);
    close(p[0]);
    close(p[1]);
}

/* ---- the ring ---- */

static void
add(struct herald_ring *r, uint32_t seq)
{
    struct outbox_event e = {.seq = seq, .event = {.type = EVENT_TAG, .repository = "a"}};
    herald_ring_add(r, &e);
}

static void
the_ring_has_the_newest_and_knows_from_where_on(void **state)
{
    (void)state;
    static struct herald_ring r;
    assert_null(herald_ring_next(&r, 0));
    herald_ring_begin(&r, 10);
    herald_ring_begin(&r, 99); /* of a new keeper */
    assert_int_equal(r.base, 10);
    for (uint32_t seq = 12; seq < 12 + 2 * HERALD_RING_MAX; seq += 2) /* with gaps */
        add(&r, seq);
    assert_int_equal(r.base, 10);
    assert_int_equal(herald_ring_next(&r, 10)->seq, 12);
    assert_int_equal(herald_ring_next(&r, 12)->seq, 14);
    assert_int_equal(herald_ring_next(&r, 13)->seq, 14);
    assert_null(herald_ring_next(&r, r.newest));
    add(&r, r.newest + 3);
    assert_int_equal(r.n, HERALD_RING_MAX);
    assert_int_equal(r.base, 12);
    assert_int_equal(herald_ring_next(&r, 12)->seq, 14);
    assert_non_null(strstr(herald_ring_next(&r, 12)->json, "\"seq\":14"));
    herald_ring_free(&r);
}

/* ---- one hook ---- */

static struct herald_job job;
static struct herald_log job_log;

static void
start(const char *script, uint64_t limit_ms)
{
    static struct hooks hooks;
    static struct herald_job_setting setting;
    struct outbox_event e = {.seq = 7,
                             .event = {.type = EVENT_TAG, .repository = "a/b", .tag = "v1"}};
    hooks = (struct hooks){.dirfd = AT_FDCWD, .dir = "/none", .quiet = true};
    hooks.scripts[HOOK_TAG] = script;
    e.event.id.algo = DIGEST_SHA256;
    buf_free(&job_log.text);
    loop_init(&loop);
    herald_log_init(&job_log, &loop, -1);
    setting = (struct herald_job_setting){&loop, &job_log, &hooks, limit_ms};
    herald_job_start(&job, &setting, &e, 2);
}

static void
finish(void)
{
    uint64_t until = clock_mono_ms() + 30000;
    while (job.state != HERALD_JOB_ENDED && clock_mono_ms() < until)
        go();
    assert_int_equal(job.state, HERALD_JOB_ENDED);
    loop_free(&loop);
}

/* Runs a script as hook `tag` to its end. */
static void
run(const char *script, uint64_t limit_ms)
{
    start(script, limit_ms);
    finish();
}

#define TO "000000000000 - ./hooks/tag: "

static void
what_a_hook_says_becomes_lines(void **state)
{
    (void)state;
    run("printf 'one\\ntwo\\r\\n\\nb\\tl \\033[2J\\nlast'", 10000);
    assert_true(job.ok);
    assert_string_equal(job.last, "last");
    const char *text = buf_text(&job_log.text);
    assert_non_null(strstr(text, "000000000000 - executing ./hooks/tag 00000"));
    assert_non_null(
        strstr(text, " a/b:v1\n" TO "one\n" TO "two\n" TO "\n" TO "b\tl ?[2J\n" TO "last\n"));
}

static void
how_it_ended_is_told(void **state)
{
    (void)state;
    run("echo why; exit 3", 10000);
    assert_false(job.ok);
    assert_string_equal(job.last, "why");
    run("exit 3", 10000);
    assert_string_equal(job.last, "exit code 3");
    run("kill -9 $$", 10000);
    assert_string_equal(job.last, "killed by signal 9");
    run("echo still; sleep 100", 200);
    assert_false(job.ok);
    assert_non_null(strstr(job.last, "its time limit"));
    run("exit 0", 10000);
    assert_true(job.ok);
    assert_string_equal(job.last, "");
}

static void
output_is_bounded_in_line_and_rate(void **state)
{
    (void)state;
    run("head -c 5000 /dev/zero | tr '\\0' x; echo; yes 'some text' | head -n 50000; echo the end",
        20000);
    assert_true(job.ok);
    assert_string_equal(job.last, "the end"); /* in any case */
    assert_in_range(job_log.text.n, HERALD_JOB_BURST / 2, 2 * HERALD_JOB_BURST);
    assert_non_null(strstr(buf_text(&job_log.text), " (4000 bytes left out)\n"));
    assert_non_null(strstr(buf_text(&job_log.text), " lines left out)\n"));
}

static void
a_line_counts_as_it_stands_in_the_log(void **state)
{
    uint64_t begin = clock_mono_ms();

    (void)state;
    run("yes '' | head -n 50000", 20000);
    assert_true(job.ok);
    assert_in_range(job_log.text.n, HERALD_JOB_BURST / 2,
                    HERALD_JOB_BURST + 2000 + (clock_mono_ms() - begin) * HERALD_JOB_BYTES_PER_MS);
}

static void
a_hook_that_is_cut_is_no_failure(void **state)
{
    (void)state;
    start("sleep 100", 60000);
    assert_int_equal(job.state, HERALD_JOB_RUNNING);
    herald_job_cut(&job);
    finish();
    assert_true(job.cut);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* reaped */
}

static void
without_a_hook_there_is_nothing_to_do(void **state)
{
    (void)state;
    run(NULL, 1000);
    assert_true(job.ok);
    buf_free(&job_log.text);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines_come_out_whole_and_in_order),
        cmocka_unit_test(a_log_that_nobody_reads_is_bounded_and_blocks_nobody),
        cmocka_unit_test(the_ring_has_the_newest_and_knows_from_where_on),
        cmocka_unit_test(what_a_hook_says_becomes_lines),
        cmocka_unit_test(how_it_ended_is_told),
        cmocka_unit_test(output_is_bounded_in_line_and_rate),
        cmocka_unit_test(a_line_counts_as_it_stands_in_the_log),
        cmocka_unit_test(a_hook_that_is_cut_is_no_failure),
        cmocka_unit_test(without_a_hook_there_is_nothing_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
