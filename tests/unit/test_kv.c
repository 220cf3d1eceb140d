#include "test_kv.h"
#include <sys/file.h>
#include <sys/syscall.h>

/* The library's calls come here. */
static int flushes;

int
fdatasync(int fd)
{
    flushes++;
    return (int)syscall(SYS_fdatasync, fd);
}

static int
delete_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    int ret = kv_delete(t, o->table, bytes_str(o->key), e);
    o->seq = ret == 1;
    return ret < 0 ? -1 : 0;
}

static bool
remove_key(struct kv *kv, unsigned table, const char *key)
{
    struct op o = {.table = table, .key = key};
    assert_int_equal(txn_run(kv, delete_fn, &o, &err), 0);
    return o.seq == 1;
}

/* ---- single keys ---- */

static void
what_is_put_is_read_replaced_and_deleted(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    expect(kv, A, "k", NULL);
    put(kv, A, "k", "one");
    expect(kv, A, "k", "one");
    expect(kv, B, "k", NULL);
    put(kv, A, "k", "");
    expect(kv, A, "k", "");
    assert_int_equal(kv_get(kv_reads(kv), A, bytes_str("k"), NULL, &err), 1);
    assert_int_equal(kv_get(kv_reads(kv), A, bytes_str("l"), NULL, &err), 0);
    assert_true(remove_key(kv, A, "k"));
    assert_false(remove_key(kv, A, "k"));
    expect(kv, A, "k", NULL);
    kv_close(kv);
}

static void
values_of_all_sizes_survive_reopening_and_recovery(void **state)
{
    (void)state;
    static char big[65536];
    struct buf b;
    buf_init(&b, sizeof big);
    for (size_t i = 0; i < sizeof big; i++)
        big[i] = (char)(i * 7 + i / 256);

    struct kv *kv = open_kv(NULL);
    for (size_t n = 1; n <= sizeof big; n *= 4) {
        char key[24];
        snprintf(key, sizeof key, "%zu", n);
        struct op o = {.table = A, .key = key, .val = bytes_of(big, n)};
        assert_int_equal(txn_run(kv, put_fn, &o, &err), 0);
    }
    for (int round = 0; round < 3; round++) {
        for (size_t n = 1; n <= sizeof big; n *= 4) {
            char key[24];
            snprintf(key, sizeof key, "%zu", n);
            assert_int_equal(kv_get(kv_reads(kv), A, bytes_str(key), &b, &err), 1);
            assert_true(bytes_equal(buf_bytes(&b), bytes_of(big, n)));
        }
        kv_close(kv);
        if (round == 1)
            assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
        kv = open_kv(NULL);
    }
    buf_free(&b);
    kv_close(kv);
}

static void
a_value_that_is_larger_than_the_buffer_is_an_error(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct buf b;
    put(kv, A, "k", "12345678");
    buf_init(&b, 7);
    assert_int_equal(kv_get(kv_reads(kv), A, bytes_str("k"), &b, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(b.n, 0);
    buf_free(&b);
    buf_init(&b, 8);
    assert_int_equal(kv_get(kv_reads(kv), A, bytes_str("k"), &b, &err), 1);
    buf_free(&b);
    kv_close(kv);
}

static void
writes_outside_transactions_fail(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct txn *r = kv_reads(kv);
    assert_int_equal(kv_put(r, A, bytes_str("k"), bytes_str("v"), &err), -1);
    assert_int_equal(kv_delete(r, A, bytes_str("k"), &err), -1);
    assert_int_equal(kv_append(r, Q, bytes_str("v"), &err), -1);
    assert_int_equal(kv_get_for_update(r, A, bytes_str("k"), NULL, &err), -1);
    expect(kv, A, "k", NULL); /* and reads go on */
    kv_close(kv);
}

/* ---- cursors ---- */

static void
cursors_go_in_byte_order_from_any_key(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct txn *r = kv_reads(kv);
    assert_string_equal(keys_from(r, A, bytes_str("")), "");
    put(kv, A, "b", "2");
    put(kv, A, "a\xff", "1");
    put(kv, A, "a", "0");
    put(kv, A, "ba", "3");
    put(kv, A, "Z", "-");
    assert_string_equal(keys_from(r, A, bytes_str("")), "Z a a\xff b ba ");
    assert_string_equal(keys_from(r, A, bytes_str("a")), "a a\xff b ba ");
    assert_string_equal(keys_from(r, A, bytes_str("aa")), "a\xff b ba ");
    assert_string_equal(keys_from(r, A, bytes_str("b!")), "ba ");
    assert_string_equal(keys_from(r, A, bytes_str("c")), "");
    kv_close(kv);
}

static int
delete_all_fn(struct txn *t, void *arg, struct err *e)
{
    struct kv_cursor *c;
    int *n = arg;
    int ret;

    *n = 0;
    if (kv_cursor_open(t, A, &c, e) != 0)
        return -1;
    for (ret = kv_cursor_seek(c, &(struct kv_range){.from = bytes_str("k")}, e); ret == 1;
         ret = kv_cursor_next(c, e)) {
        if ((ret = kv_delete(t, A, kv_cursor_key(c), e)) != 1)
            break;
        (*n)++;
    }
    kv_cursor_close(c);
    return ret < 0 ? -1 : 0;
}

/* The keys of a range, with blanks between. */
static const char *
keys_in(struct kv *kv, const struct kv_range *range)
{
    static char out[100];
    struct kv_cursor *c;
    int rc;

    out[0] = '\0';
    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &c, &err), 0);
    for (rc = kv_cursor_seek(c, range, &err); rc == 1; rc = kv_cursor_next(c, &err)) {
        struct bytes key = kv_cursor_key(c);
        snprintf(out + strlen(out), sizeof out - strlen(out), "%.*s ", (int)key.n,
                 (const char *)key.p);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(kv_cursor_next(c, &err), 0);
    kv_cursor_close(c);
    return out;
}

static int
drop_fn(struct txn *t, void *arg, struct err *e)
{
    const struct bytes keys[] = {bytes_str("a2"), bytes_str("none")};
    (void)arg;
    kv_expect(t, A, keys[0]);
    kv_expect(t, A, keys[1]);
    return kv_drop(t, A, keys[0], e) != 0 || kv_drop(t, A, keys[1], e) != 0 ? -1 : 0;
}

static void
a_cursor_ends_with_its_range(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "a1", "a2", "a3", "b"};
    const struct bytes a = bytes_str("a"), a1 = bytes_str("a1"), a15 = bytes_str("a15");
    struct kv *kv = open_kv(NULL);

    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        put(kv, A, keys[i], "");
    assert_string_equal(keys_in(kv, &(struct kv_range){0}), "a a1 a2 a3 b ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.prefix = a}), "a a1 a2 a3 ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.prefix = a, .limit = 2}), "a a1 ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.prefix = a, .from = a1}), "a1 a2 a3 ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.from = a1, .behind = true}), "a2 a3 b ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.from = a15, .behind = true, .limit = 1}),
                        "a2 ");
    assert_string_equal(keys_in(kv, &(struct kv_range){.prefix = a15}), "");
    assert_int_equal(txn_run(kv, drop_fn, NULL, &err), 0);
    assert_string_equal(keys_in(kv, &(struct kv_range){.prefix = a}), "a a1 a3 ");
    kv_close(kv);
}

static void
what_a_cursor_stands_on_may_be_deleted(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    int n;
    put(kv, A, "j", "stays");
    for (int i = 0; i < 500; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%03d", i);
        put(kv, A, key, "some bytes that fill the pages of this table, so that there are several");
    }
    assert_int_equal(txn_run(kv, delete_all_fn, &n, &err), 0);
    assert_int_equal(n, 500);
    assert_string_equal(keys_from(kv_reads(kv), A, bytes_str("")), "j ");
    kv_close(kv);
}

static void
expect_last(struct txn *t, struct bytes prefix, const char *key, const char *val)
{
    struct buf k, v;
    buf_init(&k, 100);
    buf_init(&v, 100);
    int ret = kv_last(t, A, prefix, &k, &v, &err);
    assert_int_equal(ret, key != NULL);
    if (key != NULL) {
        assert_string_equal(buf_text(&k), key);
        assert_string_equal(buf_text(&v), val);
    }
    assert_int_equal(kv_last(t, A, prefix, NULL, NULL, &err), key != NULL);
    buf_free(&k);
    buf_free(&v);
}

static void
the_last_of_a_prefix_is_found_beside_any_neighbours(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct txn *r = kv_reads(kv);
    expect_last(r, bytes_str(""), NULL, NULL);
    expect_last(r, bytes_str("a"), NULL, NULL);
    put(kv, A, "a", "0");
    expect_last(r, bytes_str("a"), "a", "0");
    put(kv, A, "ab1", "1");
    put(kv, A, "ab\xff", "2");
    put(kv, A, "ab\xff\xff\xff", "3");
    put(kv, A, "ac", "4");
    expect_last(r, bytes_str("ab"), "ab\xff\xff\xff", "3");
    expect_last(r, bytes_str("ab\xff"), "ab\xff\xff\xff", "3");
    expect_last(r, bytes_str("ab1"), "ab1", "1");
    expect_last(r, bytes_str("ab2"), NULL, NULL);
    expect_last(r, bytes_str("a"), "ac", "4");
    expect_last(r, bytes_str(""), "ac", "4");
    expect_last(r, bytes_str("\xff"), NULL, NULL);
    put(kv, A, "\xff\xff", "5");
    expect_last(r, bytes_str("\xff"), "\xff\xff", "5");
    expect_last(r, bytes_str("\xff\xff"), "\xff\xff", "5");
    expect_last(r, bytes_str("\xff\xff\xff"), NULL, NULL);
    expect_last(r, bytes_str("\xfe"), NULL, NULL);
    kv_close(kv);
}

/* ---- transactions ---- */

static int
change_all_then_fail_fn(struct txn *t, void *arg, struct err *e)
{
    (void)arg;
    if (kv_put(t, A, bytes_str("old"), bytes_str("changed"), e) != 0 ||
        kv_put(t, A, bytes_str("new"), bytes_str("x"), e) != 0 ||
        kv_delete(t, B, bytes_str("old"), e) != 1 || kv_append(t, Q, bytes_str("x"), e) != 0)
        return -1;
    if (kv_get(t, A, bytes_str("new"), NULL, e) != 1 ||
        kv_get(t, B, bytes_str("old"), NULL, e) != 0)
        return err_set(e, ERR_SYSTEM, "it doesn't see what it did");
    return err_set(e, ERR_DENIED, "no");
}

static void
an_aborted_transaction_leaves_no_trace(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    put(kv, A, "old", "1");
    put(kv, B, "old", "2");
    assert_int_equal(txn_run(kv, change_all_then_fail_fn, NULL, &err), -1);
    assert_int_equal(err.code, ERR_DENIED);
    expect(kv, A, "old", "1");
    expect(kv, A, "new", NULL);
    expect(kv, B, "old", "2");
    assert_string_equal(keys_from(kv_reads(kv), Q, bytes_str("")), "");
    kv_close(kv);
}

struct seen {
    struct kv *kv;
    struct kv_slot *slot;
    bool in_db;
    int nested;
    int beside;
};

static int
look_fn(struct txn *t, void *arg, struct err *e)
{
    struct seen *s = arg;
    struct err other;
    s->in_db = atomic_load(&s->slot->in_db);
    s->nested = txn_run(s->kv, look_fn, arg, &other);
    s->beside = kv_get(kv_reads(s->kv), A, bytes_str("k"), NULL, &other);
    return kv_put(t, A, bytes_str("k"), bytes_str("v"), e);
}

static void
the_slot_says_in_db_exactly_while_something_is_open(void **state)
{
    ONLY_WITH_BERKELEY_DB("nothing is recovered after a death");
    (void)state;
    struct kv_slot slot = {0};
    struct kv_cursor *c, *d;
    atomic_store(&slot.in_db, true); /* as the master does before it forks */
    struct kv *kv = open_kv(&slot);
    assert_false(atomic_load(&slot.in_db));
    uint64_t since = atomic_load(&slot.since_ms);
    assert_in_range(since, 1, clock_mono_ms());

    struct seen s = {.kv = kv, .slot = &slot};
    assert_int_equal(txn_run(kv, look_fn, &s, &err), 0);
    assert_true(s.in_db);
    assert_int_equal(s.nested, -1);
    assert_int_equal(s.beside, -1);
    assert_false(atomic_load(&slot.in_db));
    expect(kv, A, "k", "v");
    assert_false(atomic_load(&slot.in_db));

    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &c, &err), 0);
    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &d, &err), 0);
    assert_true(atomic_load(&slot.in_db));
    expect(kv, A, "k", "v");
    assert_int_equal(txn_run(kv, look_fn, &s, &err), -1); /* it would wait for the cursors */
    kv_cursor_close(c);
    assert_true(atomic_load(&slot.in_db));
    kv_cursor_close(d);
    assert_false(atomic_load(&slot.in_db));
    assert_int_equal(kv_last(kv_reads(kv), A, bytes_str("k"), NULL, NULL, &err), 1);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    assert_int_equal(kv_trim_logs(kv, &err), 0);
    assert_false(atomic_load(&slot.in_db));
    kv_close(kv);
    assert_false(atomic_load(&slot.in_db));
}

static void
a_store_that_was_never_recovered_cannot_be_opened(void **state)
{
    ONLY_WITH_BERKELEY_DB("test_pg.c has this");
    (void)state;
    struct kv_slot slot = {0};
    assert_null(kv_open("other", defs, COUNT, &slot, lost, &err));
    assert_int_equal(err.code, ERR_SYSTEM);
    assert_true(atomic_load(&slot.in_db)); /* the master shall recover */
    assert_int_equal(mkdir("other", 0700), 0);
    assert_null(kv_open("other", defs, COUNT, NULL, lost, &err));
    assert_int_equal(kv_recover("other", defs, A + 1, &err), 0);
    assert_null(kv_open("other", defs, COUNT, NULL, lost, &err)); /* a table is missing */
    assert_int_equal(kv_recover("other", defs, COUNT, &err), 0);
    struct kv *kv = kv_open("other", defs, COUNT, NULL, lost, &err);
    assert_non_null(kv);
    kv_close(kv);
    kv_close(NULL);
}

/* ---- what a commit waits for ---- */

static int
relaxed_put_fn(struct txn *t, void *arg, struct err *e)
{
    kv_relax(t);
    return put_fn(t, arg, e);
}

static int
look_for_update_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    return kv_get_for_update(t, o->table, bytes_str(o->key), NULL, e) < 0 ? -1 : 0;
}

static void
a_commit_waits_for_the_disk_unless_it_is_relaxed_or_wrote_nothing(void **state)
{
    ONLY_WITH_BERKELEY_DB("the server waits for the disk");
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct op o = {.table = A, .key = "k", .val = bytes_str("v")};
    put(kv, A, "other", "v");
    flushes = 0;
    assert_int_equal(txn_run(kv, look_for_update_fn, &o, &err), 0);
    assert_int_equal(flushes, 0);
    assert_int_equal(txn_run(kv, relaxed_put_fn, &o, &err), 0);
    assert_int_equal(flushes, 0);
    assert_int_equal(kv_flush(kv, &err), 0);
    assert_int_equal(flushes, 1);
    assert_int_equal(kv_flush(kv, &err), 0);
    assert_int_equal(flushes, 1); /* it is on disk already */
    assert_int_equal(txn_run(kv, relaxed_put_fn, &o, &err), 0);
    assert_int_equal(txn_run(kv, put_fn, &o, &err), 0); /* the one before relaxes no other */
    assert_int_equal(flushes, 2);
    kv_close(kv);
}

static void
a_relaxed_commit_survives_its_process(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        struct op o = {.table = A, .key = "k", .val = bytes_str("v")};
        struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
        _exit(kv != NULL && txn_run(kv, relaxed_put_fn, &o, &err) == 0 ? 0 : 1);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    struct kv *kv = open_kv(NULL);
    expect(kv, A, "k", "v");
    kv_close(kv);
}

/* ---- upkeep ---- */

static void
logs_are_trimmed_but_not_during_a_backup(void **state)
{
    ONLY_WITH_BERKELEY_DB("the logs are the server's");
    (void)state;
    static char big[65536];
    struct kv *kv = open_kv(NULL);
    for (int i = 0; i < 300; i++) {
        struct op o = {.table = A, .key = "big", .val = bytes_of(big, sizeof big)};
        memset(big, i, sizeof big);
        assert_int_equal(txn_run(kv, put_fn, &o, &err), 0);
    }
    int backup = open("db/backup.lock", O_RDWR | O_CREAT, 0600);
    assert_int_equal(flock(backup, LOCK_SH), 0);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    assert_int_equal(kv_trim_logs(kv, &err), 0);
    assert_int_equal(access("db/log.0000000001", F_OK), 0);
    close(backup);
    assert_int_equal(kv_trim_logs(kv, &err), 0);
    assert_int_not_equal(access("db/log.0000000001", F_OK), 0);
    kv_close(kv);
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_is_put_is_read_replaced_and_deleted),
        TEST(values_of_all_sizes_survive_reopening_and_recovery),
        TEST(a_value_that_is_larger_than_the_buffer_is_an_error),
        TEST(writes_outside_transactions_fail),
        TEST(cursors_go_in_byte_order_from_any_key),
        TEST(a_cursor_ends_with_its_range),
        TEST(what_a_cursor_stands_on_may_be_deleted),
        TEST(the_last_of_a_prefix_is_found_beside_any_neighbours),
        TEST(an_aborted_transaction_leaves_no_trace),
        TEST(the_slot_says_in_db_exactly_while_something_is_open),
        TEST(a_store_that_was_never_recovered_cannot_be_opened),
        TEST(a_commit_waits_for_the_disk_unless_it_is_relaxed_or_wrote_nothing),
        TEST(a_relaxed_commit_survives_its_process),
        TEST(logs_are_trimmed_but_not_during_a_backup),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
