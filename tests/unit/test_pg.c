#include "test_kv.h"

/* The store in PostgreSQL: lost connections, commits in doubt, transactions that always lose, and
 * the order of queues. */

static void
sql(const char *text)
{
    if (store_place_sql(text, &err) != 0)
        fail_msg("%s: %s", text, err.message);
}

#define END_OTHERS                                                       \
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE" \
    " datname = current_database() AND pid <> pg_backend_pid()"

/* ---- lost connections ---- */

struct loss {
    int tries;
    bool reads_again;
};

static int
lose_connection_fn(struct txn *t, void *arg, struct err *e)
{
    struct loss *l = arg;
    struct buf b;
    int rc;

    buf_init(&b, 10);
    rc = kv_get(t, A, bytes_str("n"), &b, e);
    buf_free(&b);
    if (rc != 1 || kv_put(t, A, bytes_str("n"), bytes_str("new"), e) != 0 ||
        kv_append(t, Q, bytes_str("once"), e) != 0)
        return -1;
    if (l->tries++ == 0)
        sql(END_OTHERS);
    return l->reads_again && kv_get(t, B, bytes_str("n"), NULL, e) < 0 ? -1 : 0;
}

static void
lose_before_commit(bool reads_again)
{
    struct kv *kv = open_kv(NULL);
    struct loss l = {.reads_again = reads_again};

    put(kv, A, "n", "old");
    assert_int_equal(txn_run(kv, lose_connection_fn, &l, &err), 0);
    assert_int_equal(l.tries, 2);
    expect(kv, A, "n", "new");
    assert_string_equal(strchr(keys_from(kv_reads(kv), Q, bytes_str("")), ':'), ":once ");
    kv_close(kv);
}

static void
a_connection_that_ends_before_the_commit_costs_one_more_try(void **state)
{
    ONLY_WITH_POSTGRESQL();
    (void)state;
    lose_before_commit(true);
}

static void
so_does_one_whose_end_shows_in_the_flight_of_the_commit(void **state)
{
    ONLY_WITH_POSTGRESQL();
    (void)state;
    lose_before_commit(false);
}

static void
reads_go_on_after_a_lost_connection(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv_cursor *c;
    struct kv *kv = open_kv(NULL);
    int n = 1;

    (void)state;
    for (int i = 0; i < 20; i++) {
        char key[8];
        snprintf(key, sizeof key, "k%02d", i);
        put(kv, A, key, "v");
    }
    sql(END_OTHERS);
    expect(kv, A, "k00", "v");
    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &c, &err), 0);
    assert_int_equal(kv_cursor_seek(c, &(struct kv_range){0}, &err), 1);
    sql(END_OTHERS);
    while (kv_cursor_next(c, &err) == 1)
        n++;
    kv_cursor_close(c);
    assert_int_equal(n, 20);
    kv_close(kv);
}

/* ---- doubt ---- */

static int
count_tries_fn(struct txn *t, void *arg, struct err *e)
{
    ++*(int *)arg;
    if (kv_put(t, A, bytes_str("n"), bytes_str("new"), e) != 0)
        return -1;
    return kv_append(t, Q, bytes_str("event"), e);
}

/* The server ends the connection in the place of its answer to COMMIT. */
static void
a_commit_in_doubt_is_busy_and_never_repeated(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv *kv = open_kv(NULL);
    int tries = 0;

    (void)state;
    sql("CREATE OR REPLACE FUNCTION end_me() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL; END $$;"
        "CREATE CONSTRAINT TRIGGER end_me AFTER INSERT ON a DEFERRABLE INITIALLY DEFERRED"
        " FOR EACH ROW EXECUTE FUNCTION end_me()");
    assert_int_equal(txn_run(kv, count_tries_fn, &tries, &err), -1);
    sql("DROP TRIGGER end_me ON a");
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(tries, 1);
    assert_int_equal(txn_run(kv, count_tries_fn, &tries, &err), 0);
    assert_int_equal(tries, 2);
    expect(kv, A, "n", "new");
    kv_close(kv);
}

/* ---- a transaction that always loses ---- */

struct rival {
    atomic_int asked, done, over;
};

static void
rival_child(void *arg)
{
    struct rival *r = arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    for (int round = 1; wait_for(&r->asked, round) && !atomic_load(&r->over); round++) {
        struct op o = {.table = A, .key = "n", .val = bytes_str("rival")};
        CHECK(txn_run(kv, put_fn, &o, &err) == 0);
        atomic_store(&r->done, round);
    }
    kv_close(kv);
}

/* In each try the rival changes what was read, unless this transaction is alone. */
static int
lose_fn(struct txn *t, void *arg, struct err *e)
{
    struct rival *r = arg;
    int round = atomic_load(&r->asked) + 1;

    if (kv_get(t, A, bytes_str("n"), NULL, e) < 0)
        return -1;
    atomic_store(&r->asked, round);
    if (round < 4 && !wait_for(&r->done, round))
        return err_set(e, ERR_SYSTEM, "the rival doesn't come");
    if (round == 4)
        clock_sleep_ms(300); /* the rival comes now, or the test is too easy */
    return kv_put(t, A, bytes_str("n"), bytes_str("mine"), e);
}

static void
who_has_lost_three_times_runs_alone_and_wins(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct rival *r = shared(sizeof *r);
    struct kv *kv = open_kv(NULL);
    struct kv_stats stats;
    pid_t pid;

    (void)state;
    put(kv, A, "n", "0");
    pid = spawn(rival_child, r);
    assert_int_equal(txn_run(kv, lose_fn, r, &err), 0);
    assert_int_equal(atomic_load(&r->asked), 4);
    assert_true(wait_for(&r->done, 4)); /* the rival waited for it */
    expect(kv, A, "n", "rival");
    assert_int_equal(kv_stats(kv, &stats, &err), 0);
    assert_true(stats.deadlocks >= 3);
    atomic_store(&r->over, 1);
    atomic_store(&r->asked, 5);
    join(pid);
    kv_close(kv);
    munmap(r, sizeof *r);
}

/* ---- queues ---- */

#define APPENDERS 3
#define APPENDED 80

static int
append_slowly_fn(struct txn *t, void *arg, struct err *e)
{
    const int *n = arg;

    if (kv_append(t, Q, bytes_str("e"), e) != 0)
        return -1;
    if (*n % 8 == 0) /* with its number, before the commit */
        (void)kv_last(t, Q, bytes_str(""), NULL, NULL, e);
    clock_sleep_ms((uint64_t)*n % 5);
    return 0;
}

static void
appending_child(void *arg)
{
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    for (int i = 0; i < APPENDED; i++)
        CHECK(txn_run(kv, append_slowly_fn, &i, &err) == 0);
    kv_close(kv);
    atomic_fetch_add((atomic_int *)arg, 1);
}

/* Reads what is behind the number, and moves it to the last. */
static int
follow(struct kv *kv, uint8_t number[4])
{
    struct kv_range range = {.from = bytes_of(number, 4), .behind = true};
    struct kv_cursor *c;
    uint8_t last[4];
    int n = 0, rc;

    memcpy(last, number, 4);
    assert_int_equal(kv_cursor_open(kv_reads(kv), Q, &c, &err), 0);
    for (rc = kv_cursor_seek(c, &range, &err); rc == 1; rc = kv_cursor_next(c, &err), n++)
        memcpy(last, kv_cursor_key(c).p, 4);
    assert_int_equal(rc, 0);
    kv_cursor_close(c);
    memcpy(number, last, 4);
    return n;
}

static void
nobody_passes_a_number_that_is_committed_later(void **state)
{
    ONLY_WITH_POSTGRESQL();
    atomic_int *done = shared(sizeof *done);
    struct kv *kv = open_kv(NULL);
    uint8_t number[4] = {0};
    pid_t pids[APPENDERS];
    int n = 0;

    (void)state;
    for (int i = 0; i < APPENDERS; i++)
        pids[i] = spawn(appending_child, done);
    while (atomic_load(done) < APPENDERS)
        n += follow(kv, number);
    for (int i = 0; i < APPENDERS; i++)
        join(pids[i]);
    n += follow(kv, number);
    assert_int_equal(n, APPENDERS * APPENDED);
    kv_close(kv);
    munmap(done, sizeof *done);
}

/* ---- expected keys ---- */

static int
expect_fn(struct txn *t, void *arg, struct err *e)
{
    const struct bytes keys[] = {bytes_str("a"), bytes_str("b"), bytes_str("none"),
                                 bytes_str("put"), bytes_str("gone")};
    struct buf b;
    int rc;

    (void)arg;
    buf_init(&b, 10);
    for (size_t i = 0; i < 5; i++)
        kv_expect(t, A, keys[i]);
    if (kv_put(t, A, keys[3], bytes_str("2"), e) != 0 || kv_drop(t, A, keys[4], e) != 0)
        return -1;
    assert_int_equal(kv_get(t, A, keys[1], &b, e), 1);
    assert_string_equal(buf_text(&b), "vb");
    assert_int_equal(kv_get(t, A, keys[0], NULL, e), 1);
    assert_int_equal(kv_get(t, A, keys[2], &b, e), 0);
    assert_int_equal(kv_get(t, A, keys[3], &b, e), 1);
    assert_string_equal(buf_text(&b), "2");
    assert_int_equal(kv_get(t, A, keys[4], &b, e), 0);
    assert_int_equal(kv_get(t, B, keys[0], &b, e), 0);
    rc = kv_put(t, A, keys[0], bytes_str("new"), e);
    assert_int_equal(kv_get(t, A, keys[0], &b, e), 1);
    assert_string_equal(buf_text(&b), "new");
    buf_free(&b);
    return rc;
}

static void
expected_keys_have_the_values_that_they_have(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    put(kv, A, "a", "va");
    put(kv, A, "b", "vb");
    put(kv, A, "put", "1");
    put(kv, A, "gone", "1");
    assert_int_equal(txn_run(kv, expect_fn, NULL, &err), 0);
    expect(kv, A, "a", "new");
    expect(kv, A, "gone", NULL);
    kv_close(kv);
}

/* ---- the tables ---- */

static void
only_the_start_looks_at_each_table(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv_slot slot = {0};
    struct kv *kv;
    (void)state;
    sql("DROP TABLE b");
    atomic_store(&slot.in_db, true); /* as the master does before it forks */
    kv = kv_open(store_place(), defs, COUNT, &slot, lost, &err);
    assert_non_null(kv);
    assert_int_equal(kv_flights(kv), 2);    /* the settings, and the version */
    assert_false(atomic_load(&slot.in_db)); /* there is nothing to recover */
    assert_int_equal(kv_get(kv_reads(kv), B, bytes_str("n"), NULL, &err), -1);
    kv_close(kv);
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    expect(kv, B, "n", NULL);
    kv_close(kv);
}

static void
tables_of_another_version_are_refused(void **state)
{
    ONLY_WITH_POSTGRESQL();
    (void)state;
    sql("UPDATE kv_schema SET version = version + 1");
    int recovered = kv_recover(store_place(), defs, COUNT, &err);
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    sql("UPDATE kv_schema SET version = version - 1");
    assert_int_equal(recovered, -1);
    assert_null(kv);
    assert_non_null(strstr(err.message, "version"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_connection_that_ends_before_the_commit_costs_one_more_try),
        TEST(so_does_one_whose_end_shows_in_the_flight_of_the_commit),
        TEST(reads_go_on_after_a_lost_connection),
        TEST(a_commit_in_doubt_is_busy_and_never_repeated),
        TEST(who_has_lost_three_times_runs_alone_and_wins),
        TEST(nobody_passes_a_number_that_is_committed_later),
        TEST(expected_keys_have_the_values_that_they_have),
        TEST(only_the_start_looks_at_each_table),
        TEST(tables_of_another_version_are_refused),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
