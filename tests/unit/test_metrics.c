#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "domain/metrics/metrics_text.h"
#include "util/mem.h"

static const struct {
    const char *pattern;
    unsigned methods;
} rows[] = {{"/a/{name}", 1 | 2}, {"/a/{name}?mount", 8}, {"/b", 1 | 2}};

static const char *
pattern_of(const void *table, unsigned i)
{
    (void)table;
    return rows[i].pattern;
}

static unsigned
methods_of(const void *table, unsigned i)
{
    (void)table;
    return rows[i].methods;
}

static const struct metrics_routes routes = {NULL, 3, pattern_of, methods_of};

static int
make(void **state)
{
    struct metrics *m = mem_alloc(sizeof *m);
    struct err err;

    *state = m;
    return metrics_make(m, 3, &err);
}

static int
unmake(void **state)
{
    metrics_close(*state);
    free(*state);
    return 0;
}

static void
assert_text(const struct metrics *m, bool is, const char *line)
{
    struct metrics_numbers *v = mem_alloc(sizeof *v);
    struct buf out;
    char whole[300];

    buf_init(&out, METRICS_TEXT_MAX);
    metrics_read(m, v);
    metrics_text(v, &routes, &out);
    assert_true(buf_ok(&out));
    snprintf(whole, sizeof whole, "\n%s\n", line);
    if ((strstr(buf_text(&out), whole) != NULL) != is)
        fail_msg("%s: %s\n%s", is ? "missing" : "found", line, buf_text(&out));
    buf_free(&out);
    free(v);
}

static void
processes_count_for_themselves(void **state)
{
    struct metrics *m = *state;
    int status;

    for (unsigned i = 0; i < 3; i++)
        if (fork() == 0) {
            for (int k = 0; k < 1000; k++)
                metrics_count(metrics_place_of(m, i), METRIC_TOKENS, 0, 1);
            _exit(0);
        }
    while (wait(&status) > 0)
        assert_int_equal(status, 0);
    /* Those that died have left their counts. */
    assert_text(m, true, "registry_tokens_issued_total 3000");
    metrics_count(metrics_place_of(m, 2), METRIC_TOKENS, 0, 5);
    assert_text(m, true, "registry_tokens_issued_total 3005");
    assert_null(metrics_place_of(m, 3));
    metrics_count(NULL, METRIC_TOKENS, 0, 1);
}

static void
labels_stand_in_their_order(void **state)
{
    struct metrics *m = *state;

    metrics_count(metrics_place_of(m, 0), METRIC_RESTARTS,
                  METRICS_KEEPER * METRICS_REASONS + METRICS_CRASH, 2);
    metrics_count(metrics_place_of(m, 0), METRIC_HOOK_RUNS,
                  METRICS_HOOK_UNKNOWN * METRICS_RESULTS + METRICS_FAILED, 3);
    assert_text(m, true, "registry_process_restarts_total{process=\"keeper\",reason=\"crash\"} 2");
    assert_text(m, true, "registry_process_restarts_total{process=\"nginx\",reason=\"planned\"} 0");
    assert_text(m, true, "registry_hook_runs_total{hook=\"unknown\",result=\"failed\"} 3");
    for (unsigned i = 0; i < METRIC_COUNT; i++)
        assert_true(metrics_table_values(&metrics_table[i]) <= METRICS_LABELS_MAX);
}

static void
requests_have_one_line_a_label(void **state)
{
    struct metrics *m = *state;
    const struct metrics_request all[] = {
        {.route = 1, .method = 0, .status = 200, .us = 90, .sent = 7},
        {.route = 1, .method = 1, .is_second = true, .status = 200, .us = 100},
        {.route = 2, .method = 3, .status = 201, .us = 101, .received = 5},
        {.route = 0, .method = 6, .status = 204, .us = 70000000},
        {.route = 3, .method = 0, .status = 599, .us = 0},
        {.route = 1000, .method = 7, .status = 404, .us = 2000000},
    };

    for (unsigned i = 0; i < sizeof all / sizeof *all; i++)
        metrics_request(metrics_place_of(m, i % 3), &all[i]);
    assert_text(m, true,
                "registry_requests_total{route=\"/a/{name}\",method=\"GET\",status=\"200\"} 1");
    assert_text(m, true,
                "registry_requests_total{route=\"/a/{name}\",method=\"HEAD\",status=\"200\"} 1");
    assert_text(m, true,
                "registry_requests_total{route=\"/a/{name}\",method=\"POST\",status=\"201\"} 1");
    assert_text(m, true,
                "registry_requests_total{route=\"none\",method=\"OPTIONS\",status=\"204\"} 1");
    assert_text(m, true,
                "registry_requests_total{route=\"none\",method=\"other\",status=\"404\"} 1");
    assert_text(m, true, "registry_requests_total{route=\"/b\",method=\"GET\",status=\"other\"} 1");
    /* A bound belongs to its bucket. */
    assert_text(m, true,
                "registry_request_duration_seconds_bucket{route=\"/a/{name}\",le=\"0.0001\"} 2");
    assert_text(m, true,
                "registry_request_duration_seconds_bucket{route=\"/a/{name}\",le=\"0.00025\"} 3");
    assert_text(m, true,
                "registry_request_duration_seconds_bucket{route=\"/a/{name}\",le=\"+Inf\"} 3");
    assert_text(m, true, "registry_request_duration_seconds_sum{route=\"/a/{name}\"} 0.000291");
    assert_text(m, true, "registry_request_duration_seconds_count{route=\"/a/{name}\"} 3");
    assert_text(m, true, "registry_request_duration_seconds_bucket{route=\"none\",le=\"60\"} 1");
    assert_text(m, true, "registry_request_duration_seconds_bucket{route=\"none\",le=\"+Inf\"} 2");
    assert_text(m, true, "registry_received_bytes_total 5");
    assert_text(m, true, "registry_sent_bytes_total 7");
}

static void
what_isnt_known_is_left_out(void **state)
{
    struct metrics *m = *state;

    assert_text(m, false, "registry_repositories 0");
    metrics_tell(m, METRIC_REPOSITORIES, 0);
    assert_text(m, true, "registry_repositories 0");
    metrics_tell(m, METRIC_GARBAGE_AT, 1700000000007);
    assert_text(m, true, "registry_garbage_timestamp_seconds 1700000000.007");
    metrics_tell(NULL, METRIC_REPOSITORIES, 1);
}

static void
quotas_have_their_patterns(void **state)
{
    struct metrics *m = *state;

    assert_text(m, false, "# TYPE registry_quota_used_bytes gauge");
    metrics_tell_quota(m, 0, "team/**", 5, 100);
    metrics_tell_quota(m, 1, "a\"b\\c", 6, 200);
    metrics_tell_quota(m, METRICS_QUOTAS_MAX, "none", 7, 300);
    metrics_tell_quotas(m, 2);
    assert_text(m, true, "registry_quota_used_bytes{pattern=\"team/**\"} 5");
    assert_text(m, true, "registry_quota_limit_bytes{pattern=\"a\\\"b\\\\c\"} 200");
    assert_text(m, false, "registry_quota_used_bytes{pattern=\"none\"} 7");
    metrics_tell_quotas(m, METRICS_QUOTAS_MAX + 1); /* there is room for no more */
    assert_text(m, true, "registry_quota_used_bytes{pattern=\"team/**\"} 5");
    metrics_tell_quota(NULL, 0, "x", 1, 1);
    metrics_tell_quotas(NULL, 1);
}

static void
pools_have_the_workers_that_run(void **state)
{
    struct metrics *m = *state;

    metrics_enter(metrics_place_of(m, 0), (enum metrics_process)1);
    metrics_enter(metrics_place_of(m, 1), (enum metrics_process)1);
    metrics_enter(metrics_place_of(m, 2), METRICS_KEEPER);
    metrics_busy(metrics_place_of(m, 0), true);
    assert_text(m, true, "registry_pool_workers{pool=\"bulk\"} 2");
    assert_text(m, true, "registry_pool_busy{pool=\"bulk\"} 1");
    metrics_leave(metrics_place_of(m, 0)); /* it died with its request */
    assert_text(m, true, "registry_pool_workers{pool=\"bulk\"} 1");
    assert_text(m, true, "registry_pool_busy{pool=\"bulk\"} 0");
}

static void
parts_are_well_or_say_why(void **state)
{
    struct readiness *r = metrics_readiness(*state);
    char why[READINESS_WHY_MAX];

    assert_false(readiness_is_well(r, READINESS_KEEPER, -1, why));
    assert_string_equal(why, "nothing is known of it yet");
    readiness_set_patience(r, READINESS_KEEPER, 60000);
    readiness_tell_well(r, READINESS_KEEPER);
    assert_true(readiness_is_well(r, READINESS_KEEPER, -1, why));
    readiness_tell_ill(r, READINESS_KEEPER, "a reason");
    assert_false(readiness_is_well(r, READINESS_KEEPER, -1, why));
    assert_string_equal(why, "a reason");
    readiness_tell_well(r, READINESS_KEEPER);
    assert_true(readiness_is_well(r, READINESS_KEEPER, -1, why));
    /* A writer that died in the middle of a reason. */
    readiness_tell_ill(r, READINESS_KEEPER, "half");
    atomic_fetch_add(&r->told[READINESS_KEEPER].version, 1);
    readiness_is_well(r, READINESS_KEEPER, -1, why);
    assert_string_equal(why, "");
    readiness_tell_well(NULL, READINESS_KEEPER);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(processes_count_for_themselves, make, unmake),
        cmocka_unit_test_setup_teardown(labels_stand_in_their_order, make, unmake),
        cmocka_unit_test_setup_teardown(requests_have_one_line_a_label, make, unmake),
        cmocka_unit_test_setup_teardown(what_isnt_known_is_left_out, make, unmake),
        cmocka_unit_test_setup_teardown(quotas_have_their_patterns, make, unmake),
        cmocka_unit_test_setup_teardown(pools_have_the_workers_that_run, make, unmake),
        cmocka_unit_test_setup_teardown(parts_are_well_or_say_why, make, unmake),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
