#include "test_kv.h"

/* Reads that were announced: they have the results that they would have had, and one flight fetches
 * all of them. With Berkeley DB nothing flies, and the results are the same. */

static const struct kv_range b_range = {.prefix = {"b", 1}, .limit = 2};

/* The flights since `since`, of a store that needs any. */
static void
flew(struct kv *kv, uint64_t since, uint64_t n)
{
    assert_int_equal(kv_flights(kv) - since, kv_is_remote(kv) ? n : 0);
}

static void
fill(struct kv *kv)
{
    static const char *const keys[] = {"a", "b1", "b2", "b3", "gone", "put"};

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(kv, A, keys[i], keys[i]);
}

static void
expect_all(struct txn *t)
{
    kv_expect(t, A, bytes_str("a"));
    kv_expect(t, A, bytes_str("a"));
    kv_expect(t, A, bytes_str("none"));
    kv_expect(t, B, bytes_str("a"));
    kv_expect_range(t, A, &b_range);
    kv_expect_range(
        t, A,
        &(struct kv_range){.prefix = bytes_str("b"), .from = bytes_str("b1"), .behind = true});
    kv_expect_last(t, A, bytes_str("b"));
}

/* What a key has, in the transaction or outside. */
static void
has(struct txn *t, bool for_update, unsigned table, const char *key, const char *val)
{
    struct buf b;
    int rc;

    buf_init(&b, 100);
    rc = for_update ? kv_get_for_update(t, table, bytes_str(key), &b, &err)
                    : kv_get(t, table, bytes_str(key), &b, &err);
    assert_int_equal(rc, val != NULL);
    if (val != NULL)
        assert_string_equal(buf_text(&b), val);
    buf_free(&b);
}

/* The first key of a range, and how many there are. */
static void
begins(struct txn *t, struct kv_range range, const char *key, int n)
{
    struct kv_cursor *c;
    int rc, seen = 0;

    assert_int_equal(kv_cursor_open(t, A, &c, &err), 0);
    for (rc = kv_cursor_seek(c, &range, &err); rc == 1; rc = kv_cursor_next(c, &err))
        if (seen++ == 0)
            assert_true(bytes_equal(kv_cursor_key(c), bytes_str(key)));
    assert_int_equal(rc, 0);
    assert_int_equal(seen, n);
    kv_cursor_close(c);
}

static void
last_is(struct txn *t, const char *prefix, const char *key)
{
    struct buf b;

    buf_init(&b, 100);
    assert_int_equal(kv_last(t, A, bytes_str(prefix), &b, NULL, &err), 1);
    assert_string_equal(buf_text(&b), key);
    buf_free(&b);
}

static void
read_all(struct txn *t)
{
    last_is(t, "b", "b3");
    has(t, false, A, "a", "a");
    has(t, false, A, "none", NULL);
    has(t, false, B, "a", NULL);
    begins(t, b_range, "b1", 2);
    begins(t, (struct kv_range){.prefix = bytes_str("b"), .from = bytes_str("b1"), .behind = true},
           "b2", 2);
}

static void
outside_a_transaction_one_flight_fetches_what_was_announced(void **state)
{
    struct kv *kv = open_kv(NULL);
    uint64_t since;

    (void)state;
    fill(kv);
    since = kv_flights(kv);
    expect_all(kv_reads(kv));
    read_all(kv_reads(kv));
    kv_expect_end(kv_reads(kv));
    flew(kv, since, 1);
    kv_close(kv);
}

static void
outside_a_transaction_an_announcement_serves_one_read(void **state)
{
    struct kv *kv = open_kv(NULL), *other = open_kv(NULL);
    uint64_t since;

    (void)state;
    fill(kv);
    since = kv_flights(kv);
    expect_all(kv_reads(kv));
    has(kv_reads(kv), false, A, "a", "a");
    put(other, A, "a", "new");
    put(other, A, "none", "new");
    has(kv_reads(kv), false, A, "a", "new");
    kv_expect_end(kv_reads(kv));
    has(kv_reads(kv), false, A, "none", "new"); /* its announcement has ended */
    flew(kv, since, 3);
    expect_all(kv_reads(kv));
    has(kv_reads(kv), false, A, "a", "new");
    put(kv, A, "none", "newer"); /* so has this one, by the transaction */
    has(kv_reads(kv), false, A, "none", "newer");
    kv_close(other);
    kv_close(kv);
}

static int
read_fn(struct txn *t, void *arg, struct err *e)
{
    uint64_t since = kv_flights(arg);

    (void)e;
    expect_all(t);
    kv_expect_for_update(t, A, bytes_str("put"));
    kv_expect_for_update(t, A, bytes_str("absent"));
    read_all(t);
    has(t, true, A, "put", "put");
    has(t, true, A, "absent", NULL);
    has(t, false, A, "a", "a"); /* again */
    flew(arg, since, 1);
    return 0;
}

static void
in_a_transaction_one_flight_fetches_what_was_announced(void **state)
{
    struct kv *kv = open_kv(NULL);
    uint64_t since;

    (void)state;
    fill(kv);
    since = kv_flights(kv);
    assert_int_equal(txn_run(kv, read_fn, kv, &err), 0);
    flew(kv, since, 2); /* and the commit */
    kv_close(kv);
}

/* An announced read that isn't the first one takes along what was announced since. */
static int
write_fn(struct txn *t, void *arg, struct err *e)
{
    uint64_t since = kv_flights(arg);

    expect_all(t);
    kv_expect_for_update(t, A, bytes_str("put"));
    kv_expect(t, A, bytes_str("gone"));
    has(t, false, A, "a", "a");
    if (kv_put(t, A, bytes_str("a"), bytes_str("mine"), e) != 0 ||
        kv_put(t, A, bytes_str("b0"), bytes_str("mine"), e) != 0 ||
        kv_put(t, A, bytes_str("b4"), bytes_str("mine"), e) != 0 ||
        kv_put(t, A, bytes_str("put"), bytes_str("mine"), e) != 0 ||
        kv_drop(t, A, bytes_str("gone"), e) != 0)
        return -1;
    has(t, false, A, "a", "mine");
    has(t, true, A, "put", "mine");
    has(t, false, A, "gone", NULL);
    begins(t, b_range, "b0", 2);
    last_is(t, "b", "b4");
    flew(arg, since, 6);
    has(t, false, A, "none", NULL); /* no write has touched it */
    flew(arg, since, 6);
    return 0;
}

static void
a_write_changes_what_was_announced(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    fill(kv);
    assert_int_equal(txn_run(kv, write_fn, kv, &err), 0);
    expect(kv, A, "a", "mine");
    expect(kv, A, "gone", NULL);
    kv_close(kv);
}

/* ---- what is announced for an update is locked ---- */

#define COUNTERS 4
#define COUNTS 50

static int
count_fn(struct txn *t, void *arg, struct err *e)
{
    struct buf b;
    char next[16];
    int rc;

    (void)arg;
    buf_init(&b, 100);
    kv_expect_for_update(t, A, bytes_str("n"));
    kv_expect(t, A, bytes_str("none"));
    rc = kv_get_for_update(t, A, bytes_str("n"), &b, e);
    snprintf(next, sizeof next, "%lu", rc == 1 ? strtoul(buf_text(&b), NULL, 10) + 1 : 1);
    buf_free(&b);
    return rc < 0 ? -1 : kv_put(t, A, bytes_str("n"), bytes_str(next), e);
}

static void
counts_are_not_lost(void **state)
{
    struct kv *kv;
    pid_t pids[COUNTERS];
    int status;

    (void)state;
    for (int i = 0; i < COUNTERS; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        kv = open_kv(NULL);
        for (int n = 0; n < COUNTS; n++)
            if (txn_run(kv, count_fn, NULL, &err) != 0)
                _exit(1);
        kv_close(kv);
        _exit(0);
    }
    for (int i = 0; i < COUNTERS; i++) {
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
    kv = open_kv(NULL);
    expect(kv, A, "n", "200");
    kv_close(kv);
}

/* ---- trouble ---- */

static void
announced_reads_survive_a_lost_connection(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv *kv = open_kv(NULL);

    (void)state;
    fill(kv);
    expect_all(kv_reads(kv));
    assert_int_equal(
        store_place_sql("SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE"
                        " datname = current_database() AND pid <> pg_backend_pid()",
                        &err),
        0);
    read_all(kv_reads(kv));
    kv_expect_end(kv_reads(kv));
    kv_close(kv);
}

static void
announcements_have_a_bound(void **state)
{
    struct kv *kv = open_kv(NULL);
    char key[16];

    (void)state;
    put(kv, A, "k4999", "last");
    for (int i = 0; i < 5000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        kv_expect(kv_reads(kv), A, bytes_str(key));
    }
    has(kv_reads(kv), false, A, "k0", NULL);
    has(kv_reads(kv), false, A, "k4999", "last");
    kv_expect_end(kv_reads(kv));
    kv_close(kv);
}

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(outside_a_transaction_one_flight_fetches_what_was_announced),
        TEST(outside_a_transaction_an_announcement_serves_one_read),
        TEST(in_a_transaction_one_flight_fetches_what_was_announced),
        TEST(a_write_changes_what_was_announced),
        TEST(counts_are_not_lost),
        TEST(announced_reads_survive_a_lost_connection),
        TEST(announcements_have_a_bound),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
