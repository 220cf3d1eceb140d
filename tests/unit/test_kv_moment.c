#include "test_kv.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_moment.h"

/* Reading a whole store of one moment, and making a copy of it. */

static void
sql(const char *text)
{
    if (store_place_sql(text, &err) != 0)
        fail_msg("%s: %s", text, err.message);
}

/* ---- records with numbers ---- */

static void
key_of_number(uint8_t key[4], uint32_t n)
{
    for (int i = 0; i < 4; i++)
        key[i] = (uint8_t)(n >> (24 - 8 * i));
}

static int
place_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    uint8_t key[4];
    int rc;

    key_of_number(key, o->seq);
    rc = kv_place(t, Q, bytes_of(key, 4), o->val, e);
    return rc == 0 && o->fail ? kv_drop(t, Q, bytes_of(key, 4), e) : rc;
}

/* is_dropped: at once, so that only the number is taken. */
static void
place(struct kv *kv, uint32_t seq, const char *val, bool is_dropped)
{
    struct op o = {.seq = seq, .val = bytes_str(val), .fail = is_dropped};
    assert_int_equal(txn_run(kv, place_fn, &o, &err), 0);
}

static int
append_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    return kv_append(t, Q, o->val, e);
}

static int
append(struct kv *kv, const char *val)
{
    struct op o = {.val = bytes_str(val)};
    return txn_run(kv, append_fn, &o, &err);
}

static void
expect_queue(struct kv *kv, const char *all)
{
    assert_string_equal(keys_from(kv_reads(kv), Q, bytes_str("")), all);
}

static void
records_of_a_queue_keep_their_numbers(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    place(kv, 70000, "a", false);
    place(kv, 70005, "", false);
    expect_queue(kv, "70000:a 70005: ");
    assert_int_equal(append(kv, "next"), 0);
    expect_queue(kv, "70000:a 70005: 70006:next ");
    place(kv, 70000, "other", false);
    place(kv, 70002, "between", false);
    assert_int_equal(append(kv, "then"), 0);
    expect_queue(kv, "70000:other 70002:between 70005: 70006:next 70007:then ");
    place(kv, 90000, "", true);
    assert_int_equal(append(kv, "last"), 0);
    assert_non_null(strstr(keys_from(kv_reads(kv), Q, bytes_str("")), "70007:then 90001:last "));
    kv_close(kv);
}

static void
also_if_only_the_number_was_taken(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    place(kv, 1234, "", true);
    expect_queue(kv, "");
    kv_close(kv);
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    assert_int_equal(append(kv, "next"), 0);
    expect_queue(kv, "1235:next ");
    kv_close(kv);
}

/* ---- moments ---- */

static void
a_moment_doesnt_change_while_others_write(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv *kv = open_kv(NULL), *other = open_kv(NULL);

    (void)state;
    put(other, A, "n", "old");
    assert_int_equal(kv_moment_begin(kv, &err), 0);
    put(other, A, "n", "new");
    put(other, B, "n", "new");
    expect(kv, A, "n", "old");
    expect(kv, B, "n", NULL);
    assert_string_equal(keys_from(kv_reads(kv), B, bytes_str("")), "");
    assert_int_equal(append(kv, "x"), -1);
    expect(kv, A, "n", "old");
    kv_moment_end(kv);
    expect(kv, A, "n", "new");
    put(kv, A, "n", "newest");
    expect(other, A, "n", "newest");
    kv_close(kv);
    kv_close(other);
}

static int
slow_fn(struct txn *t, void *arg, struct err *e)
{
    int *pipes = arg;

    if (kv_put(t, A, bytes_str("n"), bytes_str("slow"), e) != 0 ||
        kv_get(t, B, bytes_str("n"), NULL, e) < 0)
        return -1;
    CHECK(write(pipes[1], "x", 1) == 1);
    clock_sleep_ms(300);
    return 0;
}

/* Without that it would be one in the middle of a transaction of somebody. */
static void
a_moment_waits_for_transactions_that_run(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv *kv = open_kv(NULL);
    int pipes[2], status;
    pid_t child;
    char x;

    (void)state;
    assert_int_equal(pipe(pipes), 0);
    child = fork();
    if (child == 0) {
        struct kv *mine = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
        CHECK(mine != NULL && txn_run(mine, slow_fn, pipes, &err) == 0);
        _exit(0);
    }
    assert_int_equal(read(pipes[0], &x, 1), 1);
    assert_int_equal(kv_moment_begin(kv, &err), 0);
    expect(kv, A, "n", "slow");
    kv_moment_end(kv);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    close(pipes[0]);
    close(pipes[1]);
    kv_close(kv);
}

#define END_OTHERS                                                       \
    "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE" \
    " datname = current_database() AND pid <> pg_backend_pid()"

static void
a_moment_ends_with_its_connection(void **state)
{
    ONLY_WITH_POSTGRESQL();
    struct kv *kv = open_kv(NULL);

    (void)state;
    put(kv, A, "n", "old");
    assert_int_equal(kv_moment_begin(kv, &err), 0);
    expect(kv, A, "n", "old");
    sql(END_OTHERS);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(kv_get(kv_reads(kv), A, bytes_str("n"), NULL, &err), -1);
        assert_non_null(strstr(err.message, "repeat this"));
    }
    kv_moment_end(kv);
    expect(kv, A, "n", "old");
    kv_close(kv);
}

static void
files_are_held_until_their_holder_is_gone(void **state)
{
    struct kv *kv = open_kv(NULL), *other = store_place_is_remote() ? open_kv(NULL) : kv;

    (void)state;
    assert_int_equal(kv_moment_files_are_held(other, &err), 0);
    assert_int_equal(kv_moment_hold_files(kv, &err), 0);
    assert_int_equal(kv_moment_files_are_held(other, &err), store_place_is_remote());
    assert_int_equal(kv_moment_files_are_held(kv, &err), store_place_is_remote());
    if (store_place_is_remote()) {
        sql(END_OTHERS);
        assert_int_equal(kv_moment_files_are_held(kv, &err), 0);
        assert_int_equal(kv_moment_hold_files(kv, &err), 0);
        assert_int_equal(kv_moment_files_are_held(other, &err), 1);
    }
    kv_close(kv);
    if (store_place_is_remote()) {
        for (int i = 0; i < 100 && kv_moment_files_are_held(other, &err) == 1; i++)
            clock_sleep_ms(20);
        assert_int_equal(kv_moment_files_are_held(other, &err), 0);
        kv_close(other);
    }
}

/* ---- a store that becomes a copy ---- */

static void
a_store_is_made_and_is_a_copy(void **state)
{
    struct kv *kv;

    (void)state;
    assert_int_equal(mkdir("copy", 0700), 0);
    kv = kv_backup_make("copy", defs, COUNT, &err);
    assert_non_null(kv);
    put(kv, A, "n", "value");
    place(kv, 5000, "five", false);
    assert_int_equal(kv_backup_made(kv, &err), 0);
    assert_int_equal(kv_backup_verify("copy", defs, COUNT, &err), 0);
    assert_int_not_equal(access("copy/__db.001", F_OK), 0);
    assert_int_not_equal(access("copy/tables", F_OK), 0);
    kv = kv_backup_open("copy", defs, COUNT, &err);
    assert_non_null(kv);
    expect(kv, A, "n", "value");
    expect_queue(kv, "5000:five ");
    kv_close(kv);
    /* A server can take it over. */
    assert_int_equal(kv_recover("copy", defs, COUNT, &err), 0);
    kv = kv_open("copy", defs, COUNT, NULL, lost, &err);
    assert_non_null(kv);
    assert_int_equal(append(kv, "next"), 0);
    expect_queue(kv, "5000:five 5001:next ");
    kv_close(kv);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(records_of_a_queue_keep_their_numbers),
        T(also_if_only_the_number_was_taken),
        T(a_moment_doesnt_change_while_others_write),
        T(a_moment_waits_for_transactions_that_run),
        T(a_moment_ends_with_its_connection),
        T(files_are_held_until_their_holder_is_gone),
        T(a_store_is_made_and_is_a_copy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
