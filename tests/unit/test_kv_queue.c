#include "test_kv.h"
#include <dirent.h>
#include "storage/kv/kv_range.h"

/* Queues of the store. */

static int
append_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    struct buf key;
    if (kv_append(t, Q, o->val, e) != 0)
        return -1;
    buf_init(&key, 4);
    assert_int_equal(kv_last(t, Q, bytes_str(""), &key, NULL, e), 1);
    o->seq = seq_of(buf_bytes(&key));
    buf_free(&key);
    return o->fail ? err_set(e, ERR_BAD_TAG, "changed my mind") : 0;
}

static uint32_t
append(struct kv *kv, const char *val)
{
    struct op o = {.val = bytes_str(val)};
    assert_int_equal(txn_run(kv, append_fn, &o, &err), 0);
    return o.seq;
}

static int
delete_seq_fn(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;
    uint32_t n = o->seq;
    uint8_t key[4] = {(uint8_t)(n >> 24), (uint8_t)(n >> 16), (uint8_t)(n >> 8), (uint8_t)n};
    int ret = kv_delete(t, Q, bytes_of(key, 4), e);
    o->fail = ret == 0;
    return ret < 0 ? -1 : 0;
}

static bool
delete_seq(struct kv *kv, uint32_t seq)
{
    struct op o = {.seq = seq};
    assert_int_equal(txn_run(kv, delete_seq_fn, &o, &err), 0);
    return !o.fail;
}

static void
a_queue_keeps_order_and_its_numbers_go_on(void **state)
{
    (void)state;
    struct kv *kv = open_kv(NULL);
    struct op o = {.val = bytes_str("aborted"), .fail = true};

    assert_string_equal(keys_from(kv_reads(kv), Q, bytes_str("")), "");
    assert_int_equal(append(kv, "one"), 1);
    assert_int_equal(append(kv, ""), 2);
    assert_int_equal(txn_run(kv, append_fn, &o, &err), -1);
    assert_int_equal(err.code, ERR_BAD_TAG);
    assert_int_equal(o.seq, 3);
    assert_int_equal(append(kv, "four"), 4);

    struct txn *r = kv_reads(kv);
    assert_string_equal(keys_from(r, Q, bytes_str("")), "1:one 2: 4:four ");
    assert_string_equal(keys_from(r, Q, bytes_of("\0\0\0\0", 4)), "1:one 2: 4:four ");
    assert_string_equal(keys_from(r, Q, bytes_of("\0\0\0\2", 4)), "2: 4:four ");
    assert_string_equal(keys_from(r, Q, bytes_of("\0\0\0\3", 4)), "4:four ");
    assert_string_equal(keys_from(r, Q, bytes_of("\0\0\0\5", 4)), "");
    assert_string_equal(keys_from(r, Q, bytes_of("\1\0\0\0", 4)), "");
    struct buf b;
    buf_init(&b, 10);
    assert_int_equal(kv_get(r, Q, bytes_of("\0\0\0\4", 4), &b, &err), 1);
    assert_string_equal(buf_text(&b), "four");
    assert_int_equal(kv_get(r, Q, bytes_of("\0\0\0\3", 4), &b, &err), 0);
    assert_int_equal(kv_get(r, Q, bytes_of("\0\0\0\0", 4), &b, &err), 0);
    assert_int_equal(kv_get(r, Q, bytes_of("\0\0\1\0", 4), &b, &err), 0);
    buf_free(&b);

    assert_true(delete_seq(kv, 1));
    assert_false(delete_seq(kv, 1));
    assert_false(delete_seq(kv, 3));
    assert_false(delete_seq(kv, 99));
    assert_false(delete_seq(kv, 0));
    assert_string_equal(keys_from(r, Q, bytes_of("\0\0\0\1", 4)), "2: 4:four ");
    assert_true(delete_seq(kv, 2));
    assert_true(delete_seq(kv, 4));
    assert_string_equal(keys_from(r, Q, bytes_str("")), "");
    kv_close(kv);

    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    assert_int_equal(append(kv, "five"), 5);
    assert_string_equal(keys_from(kv_reads(kv), Q, bytes_of("\0\0\0\1", 4)), "5:five ");
    kv_close(kv);
}

#define RECORDS 25000 /* more than there are locks */
#define BATCH 100

/* RECORDS records, of which only those before the last and the last stay. */
static int
batch_fn(struct txn *t, void *arg, struct err *e)
{
    uint32_t from = *(uint32_t *)arg;

    for (uint32_t i = from; i < from + BATCH; i++) {
        if (kv_append(t, Q, bytes_str("x"), e) != 0)
            return -1;
        uint8_t key[4] = {0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        if (i < RECORDS - 1 && kv_delete(t, Q, bytes_of(key, 4), e) != 1)
            return -1;
    }
    return 0;
}

static void
batches_child(void *arg)
{
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    (void)arg;
    CHECK(kv != NULL);
    for (uint32_t from = 1; from <= RECORDS; from += BATCH)
        CHECK(txn_run(kv, batch_fn, &from, &err) == 0);
    /* and it ends without closing anything */
}

static int
walk_fn(struct txn *t, void *arg, struct err *e)
{
    struct bytes *from = arg;
    (void)e;
    assert_string_equal(keys_from(t, Q, *from), "24999:x 25000:x ");
    return 0;
}

static int
queue_files(void)
{
    int n = 0;
    DIR *d = opendir("db");
    assert_non_null(d);
    for (struct dirent *e; (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, "__dbq.q.", 8) == 0;
    closedir(d);
    return n;
}

static void
the_files_of_a_queue_go_when_its_records_are_gone(void **state)
{
    ONLY_WITH_BERKELEY_DB("a queue has no files of its own");
    (void)state;
    struct bytes from = bytes_str("");
    join(spawn(batches_child, NULL));
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    assert_in_range(queue_files(), 1, 2);

    /* A recovery that was killed may leave one behind. */
    close(open("db/__dbq.q.0", O_RDWR | O_CREAT | O_EXCL, 0600));
    assert_int_equal(access("db/__dbq.q.0", F_OK), 0);
    assert_int_equal(kv_recover(store_place(), defs, COUNT, &err), 0);
    assert_int_not_equal(access("db/__dbq.q.0", F_OK), 0);
    struct kv *kv = open_kv(NULL);
    assert_int_equal(txn_run(kv, walk_fn, &from, &err), 0);
    assert_int_equal(append(kv, "y"), RECORDS + 1);
    kv_close(kv);
}

static int
fill_fn(struct txn *t, void *arg, struct err *e)
{
    (void)arg;
    for (int i = 0; i < 500; i++)
        if (kv_append(t, Q, bytes_str("x"), e) != 0)
            return -1;
    return 0;
}

static int
count_entry(struct bytes key, struct bytes val, void *arg, struct err *e)
{
    (void)key;
    (void)val;
    (void)e;
    ++*(int *)arg;
    return 0;
}

static int
open_descriptors(void)
{
    DIR *d = opendir("/proc/self/fd");
    int n = 0;

    assert_non_null(d);
    while (readdir(d) != NULL)
        n++;
    closedir(d);
    return n;
}

static void
a_long_queue_needs_few_descriptors(void **state)
{
    struct kv *kv = open_kv(NULL);
    int n = 0, before = open_descriptors();

    (void)state;
    for (int i = 0; i < 20; i++)
        assert_int_equal(txn_run(kv, fill_fn, NULL, &err), 0);
    assert_int_equal(
        kv_range_each(kv_reads(kv), Q, &(struct kv_range){.limit = 0}, count_entry, &n, &err), 0);
    assert_int_equal(n, 20 * 500);
    assert_in_range(open_descriptors(), before, before + 2);
    kv_close(kv);
}

static void
a_cursor_may_start_far_in_front_of_a_queue(void **state)
{
    (void)state;
    struct bytes from = bytes_of("\0\0\0\1", 4);
    join(spawn(batches_child, NULL));
    struct kv *kv = open_kv(NULL);
    assert_int_equal(txn_run(kv, walk_fn, &from, &err), 0);
    assert_string_equal(keys_from(kv_reads(kv), Q, from), "24999:x 25000:x ");
    kv_close(kv);
}

static void
a_record_that_is_too_long_is_refused(void **state)
{
    (void)state;
    static char long_one[1001];
    struct kv *kv = open_kv(NULL);
    struct op o = {.val = bytes_of(long_one, 1001)};
    assert_int_equal(txn_run(kv, append_fn, &o, &err), -1);
    assert_int_equal(err.code, ERR_TOO_LARGE);
    o.val.n = 1000;
    assert_int_equal(txn_run(kv, append_fn, &o, &err), 0);
    struct buf b;
    buf_init(&b, 1000);
    assert_int_equal(kv_get(kv_reads(kv), Q, bytes_of("\0\0\0\1", 4), &b, &err), 1);
    assert_int_equal(b.n, 1000);
    buf_free(&b);
    kv_close(kv);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(a_queue_keeps_order_and_its_numbers_go_on),
        TEST(the_files_of_a_queue_go_when_its_records_are_gone),
        TEST(a_long_queue_needs_few_descriptors),
        TEST(a_cursor_may_start_far_in_front_of_a_queue),
        TEST(a_record_that_is_too_long_is_refused),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
