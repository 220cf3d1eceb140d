#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/events/hook_queue.h"

#define RETRIES 2

static struct hook_queue q;

static void
begin(struct fixture *f)
{
    OK(f, hook_queue_begin(&q, &f->reg, RETRIES, &f->err));
}

static void
add_of(struct fixture *f, uint32_t seq, const char *repository, enum digest_algo id)
{
    struct outbox_event e = {.seq = seq, .event = {.type = EVENT_TAG, .id = {.algo = id}}};
    struct outbox_marks m = {seq, seq};
    bool wanted = true;

    snprintf(e.event.repository, sizeof e.event.repository, "%s", repository);
    OK(f, hook_queue_add(&q, &e, &wanted, 1, &m, &f->err));
}

static void
add(struct fixture *f, uint32_t seq, const char *repository)
{
    add_of(f, seq, repository, DIGEST_SHA256);
}

/* busy: names in blanks, " a b ". */
static bool
is_busy(const char *repository, void *arg)
{
    char name[64];

    snprintf(name, sizeof name, " %s ", repository);
    return strstr(arg, name) != NULL;
}

/* The number of the next, 0 for none. */
static uint32_t
next(struct fixture *f, const char *busy)
{
    struct tbl_hook h;
    int rc = hook_queue_next(&q, is_busy, (void *)busy, &h, &f->err);

    assert_in_range(rc, 0, 1);
    return rc == 1 ? h.seq : 0;
}

static void
settle(struct fixture *f, uint32_t seq, const char *repository, bool ok)
{
    struct hook_result r = {.seq = seq, .ok = ok, .line = "said"};

    snprintf(r.repository, sizeof r.repository, "%s", repository);
    OK(f, hook_queue_settle(&q, &r, 1, &f->err));
}

/* All rows, as "seq:state:tries ". */
static void
expect_rows(struct fixture *f, const char *want)
{
    struct tbl_hook v[2];
    char got[300] = "";
    size_t n = 2;

    for (const struct tbl_hook *after = NULL; n == 2; after = &v[1]) {
        OK(f, hook_queue_list(&f->reg, after, v, 2, &n, &f->err));
        for (size_t i = 0; i < n; i++)
            snprintf(got + strlen(got), sizeof got - strlen(got), "%u:%c:%u ", v[i].seq,
                     v[i].state == TBL_HOOK_WAITING ? 'w' : 'f', v[i].record.tries);
    }
    assert_string_equal(got, want);
}

static void
a_repository_keeps_its_order_and_others_go_on(void **state)
{
    struct fixture *f = *state;

    begin(f);
    assert_int_equal(next(f, ""), 0);
    assert_true(hook_queue_wait_ms(&q) == UINT64_MAX);
    add(f, 1, "b");
    add(f, 2, "b");
    add(f, 3, "b/c"); /* sorts right behind */
    add(f, 4, "a");
    assert_int_equal(hook_queue_wait_ms(&q), 0);
    assert_int_equal(next(f, ""), 4);
    assert_int_equal(next(f, " a "), 1);
    assert_int_equal(next(f, " a b "), 3);
    assert_int_equal(next(f, " a b b/c "), 0);
    assert_true(hook_queue_wait_ms(&q) == UINT64_MAX);
    settle(f, 1, "b", true);
    assert_int_equal(next(f, " a b/c "), 2);
    assert_int_equal(q.waiting, 3);
    expect_rows(f, "4:w:0 2:w:0 3:w:0 ");
}

static void
a_tag_of_the_first_api_waits_for_its_image(void **state)
{
    struct fixture *f = *state;

    begin(f);
    add_of(f, 1, "", DIGEST_V1_ID);
    add_of(f, 2, "a", DIGEST_V1_ID);
    add_of(f, 3, "", DIGEST_V1_ID);
    add(f, 4, "b");
    assert_int_equal(next(f, ""), 1);
    assert_int_equal(next(f, "  "), 4); /* nobody else waits */
    assert_int_equal(next(f, "  b "), 0);
    settle(f, 1, "", true);
    assert_int_equal(next(f, "  b "), 2); /* not for what comes later */
    settle(f, 2, "a", true);
    assert_int_equal(next(f, " b "), 3);
}

static void
repositories_take_turns(void **state)
{
    struct fixture *f = *state;

    begin(f);
    for (uint32_t i = 1; i <= 3; i++) {
        add(f, 2 * i - 1, "busy");
        add(f, 2 * i, "quiet");
    }
    for (uint32_t i = 1; i <= 6; i++) {
        assert_int_equal(next(f, ""), i);
        settle(f, i, i % 2 == 1 ? "busy" : "quiet", true);
    }
    assert_int_equal(next(f, ""), 0);
    expect_rows(f, "");
}

static void
what_fails_is_tried_again_and_then_stays_as_failed(void **state)
{
    struct fixture *f = *state;

    begin(f);
    add(f, 1, "a");
    add(f, 2, "a");
    assert_int_equal(next(f, ""), 1);
    settle(f, 1, "a", false);
    expect_rows(f, "1:w:1 2:w:0 ");
    assert_int_equal(next(f, ""), 0); /* the second waits for the first */
    assert_in_range(hook_queue_wait_ms(&q), 1, 1000);
    fixture_forward_ms(1001);
    assert_int_equal(next(f, ""), 1);
    settle(f, 1, "a", false);
    assert_int_equal(next(f, ""), 0);
    assert_in_range(hook_queue_wait_ms(&q), 3000, 4000);
    fixture_forward_ms(4001);
    assert_int_equal(next(f, ""), 1);
    settle(f, 1, "a", false); /* RETRIES are over */
    expect_rows(f, "2:w:0 1:f:3 ");
    assert_int_equal(next(f, ""), 2);
    settle(f, 2, "a", true);
    expect_rows(f, "1:f:3 ");
    assert_int_equal(next(f, ""), 0);
    assert_true(hook_queue_wait_ms(&q) == UINT64_MAX);
}

static void
pauses_grow_up_to_a_bound(void **state)
{
    (void)state;
    assert_int_equal(hook_queue_pause_ms(1), 1000);
    assert_int_equal(hook_queue_pause_ms(2), 4000);
    assert_int_equal(hook_queue_pause_ms(5), 256000);
    assert_int_equal(hook_queue_pause_ms(6), 600000);
    assert_int_equal(hook_queue_pause_ms(UINT32_MAX), 600000);
}

static void
by_hand_one_is_tried_again_or_dropped(void **state)
{
    struct fixture *f = *state;

    begin(f);
    add(f, 1, "a");
    add(f, 2, "a");
    add(f, 3, "a");
    for (int i = 0; i <= RETRIES; i++) {
        settle(f, 2, "a", false);
        fixture_forward_ms(600000);
    }
    expect_rows(f, "1:w:0 3:w:0 2:f:3 ");
    assert_int_equal(hook_queue_retry(&f->reg, 9, &f->err), 0);
    assert_int_equal(hook_queue_drop(&f->reg, 9, &f->err), 0);
    assert_int_equal(hook_queue_retry(&f->reg, 2, &f->err), 1);
    expect_rows(f, "1:w:0 2:w:0 3:w:0 ");
    assert_int_equal(hook_queue_drop(&f->reg, 1, &f->err), 1);
    settle(f, 1, "a", false); /* it ran meanwhile */
    expect_rows(f, "2:w:0 3:w:0 ");
    settle(f, 2, "a", false);
    hook_queue_restart(&q);
    assert_int_equal(next(f, ""), 0);
    assert_int_equal(hook_queue_retry(&f->reg, 2, &f->err), 1);
    hook_queue_restart(&q);
    assert_int_equal(next(f, ""), 2);
}

static void
a_new_keeper_goes_on_with_what_waits(void **state)
{
    struct fixture *f = *state;
    struct outbox_marks m;

    begin(f);
    add(f, 7, "a");
    add(f, 8, "b");
    begin(f);
    assert_int_equal(q.waiting, 2);
    assert_int_equal(next(f, ""), 7);
    OK(f, outbox_marks_get(&f->reg, &m, &f->err));
    assert_int_equal(m.queued, 8);
}

static void
there_is_a_bound_on_what_waits_and_on_what_failed(void **state)
{
    struct fixture *f = *state;
    struct tbl_hook v;
    size_t n, failed = 0;

    begin(f);
    q.max = 2;
    for (uint32_t seq = 1; seq <= 4; seq++)
        add(f, seq, "a");
    expect_rows(f, "1:w:0 2:w:0 3:f:0 4:f:0 ");
    for (uint32_t seq = 5; seq <= HOOK_QUEUE_FAILED_MAX + 10; seq++)
        add(f, seq, "a");
    v = (struct tbl_hook){.state = TBL_HOOK_FAILED};
    for (;;) {
        struct tbl_hook after = v;
        OK(f, hook_queue_list(&f->reg, &after, &v, 1, &n, &f->err));
        if (n == 0)
            break;
        failed++;
    }
    assert_int_equal(failed, HOOK_QUEUE_FAILED_MAX);
    assert_int_equal(v.seq, HOOK_QUEUE_FAILED_MAX + 10);
    settle(f, 1, "a", true);
    add(f, 5000, "a");
    assert_int_equal(q.waiting, 2);
}

static bool
all_but_zz_are_busy(const char *repository, void *arg)
{
    (void)arg;
    return strcmp(repository, "zz") != 0;
}

static void
many_repositories_that_wait_are_looked_at_in_steps(void **state)
{
    struct fixture *f = *state;
    const uint32_t many = 450;
    struct tbl_hook h;
    int calls = 1, rc;

    begin(f);
    for (uint32_t i = 1; i <= many; i++) {
        char name[16];
        snprintf(name, sizeof name, "r%04u", i);
        add(f, i, name);
    }
    add(f, many + 1, "zz");
    for (; (rc = hook_queue_next(&q, all_but_zz_are_busy, NULL, &h, &f->err)) == 0; calls++)
        assert_int_equal(hook_queue_wait_ms(&q), 0);
    assert_int_equal(rc, 1);
    assert_string_equal(h.record.event.repository, "zz");
    assert_in_range(calls, 2, 10);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_repository_keeps_its_order_and_others_go_on),
        TEST(a_tag_of_the_first_api_waits_for_its_image),
        TEST(repositories_take_turns),
        TEST(what_fails_is_tried_again_and_then_stays_as_failed),
        TEST(pauses_grow_up_to_a_bound),
        TEST(by_hand_one_is_tried_again_or_dropped),
        TEST(a_new_keeper_goes_on_with_what_waits),
        TEST(there_is_a_bound_on_what_waits_and_on_what_failed),
        TEST(many_repositories_that_wait_are_looked_at_in_steps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
