#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include "domain/backup/store_merge.h"
#include "storage/kv/kv_backup.h"
#include "storage/kv/kv_moment.h"
#include "storage/kv/kv_range.h"
#include "storage/tables/tables.h"
#include "storage/tables/tbl_event.h"
#include "storage/tables/tbl_meta.h"
#include "util/mem.h"

/* Records of one store, in another one: from the filling under test to Berkeley DB, and back. */

static bool is_ended;

static bool
over(void *arg)
{
    (void)arg;
    return is_ended;
}

static void
tell(void *arg, const char *table, uint64_t records)
{
    (void)arg;
    (void)table;
    (void)records;
}

/* Something in most tables, and more than a page in some. */
static void
fill(struct fixture *f, unsigned from, unsigned to)
{
    struct digest config = fixture_blob(f, "a/b", "config");
    struct push p;

    for (unsigned i = from; i < to; i++) {
        char text[40], tag[20];
        struct digest layer;

        snprintf(text, sizeof text, "layer %u", i);
        snprintf(tag, sizeof tag, "v%u", i);
        layer = fixture_blob(f, "a/b", text);
        OK(f, fixture_push(f, "a/b", tag, fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p));
        arena_reset(&f->arena);
    }
}

static int
print_record(struct bytes key, struct bytes val, void *arg, struct err *err)
{
    struct buf *b = arg;

    (void)err;
    buf_putf(b, "%zu %zu ", key.n, val.n);
    buf_put(b, key.p, key.n);
    buf_put(b, val.p, val.n);
    return 0;
}

/* All that a store has. */
static struct buf
all_of(struct fixture *f, struct kv *kv)
{
    struct buf b;

    buf_init(&b, 64u << 20);
    for (unsigned i = 0; i < TABLE_COUNT; i++) {
        buf_puts(&b, tables[i].name);
        OK(f, kv_range_each(kv_reads(kv), i, &(struct kv_range){.limit = 0}, print_record, &b,
                            &f->err));
    }
    assert_true(buf_ok(&b));
    return b;
}

static void
assert_equal_stores(struct fixture *f, struct kv *one, struct kv *other)
{
    struct buf a = all_of(f, one), b = all_of(f, other);

    assert_true(a.n > 1000);
    assert_true(bytes_equal(buf_bytes(&a), buf_bytes(&b)));
    buf_free(&a);
    buf_free(&b);
}

static struct kv *
make_copy(struct fixture *f)
{
    struct kv *kv;

    assert_int_equal(mkdir("copy", 0700), 0);
    kv = kv_backup_make("copy", tables, TABLE_COUNT, &f->err);
    assert_non_null(kv);
    return kv;
}

static void
a_copy_is_equal_and_a_second_one_only_writes_what_changed(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {.from = f->reg.kv, .to = copy, .is_over = over, .tell = tell};

    fill(f, 0, 300);
    OK(f, store_merge_run(&m, &f->err));
    assert_true(m.records > 2000);
    assert_int_equal(m.changes, m.records);
    OK(f, store_merge_verify(&m, &f->err));
    assert_equal_stores(f, f->reg.kv, copy);
    OK(f, store_merge_run(&m, &f->err));
    assert_int_equal(m.changes, 0);

    fill(f, 299, 302);
    OK(f, store_merge_run(&m, &f->err));
    assert_true(m.changes > 10 && m.changes < 100);
    OK(f, store_merge_verify(&m, &f->err));
    assert_equal_stores(f, f->reg.kv, copy);
    OK(f, kv_backup_made(copy, &f->err));
}

static int
spoil(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_meta_put(t, "something", 5, err);
}

static int
drop_first_event(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return kv_drop(t, TABLE_EVENT, bytes_of("\0\0\0\1", 4), err);
}

static void
what_is_too_much_or_lost_is_found_and_mended(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {.from = f->reg.kv, .to = copy, .is_over = over, .tell = tell};

    fill(f, 0, 3);
    OK(f, store_merge_run(&m, &f->err));
    OK(f, txn_run(copy, spoil, NULL, &f->err));
    REFUSED(f, store_merge_verify(&m, &f->err), ERR_CORRUPT);
    assert_non_null(strstr(f->err.message, "table meta "));
    OK(f, store_merge_run(&m, &f->err));
    assert_int_equal(m.changes, 1);
    OK(f, txn_run(copy, drop_first_event, NULL, &f->err));
    REFUSED(f, store_merge_verify(&m, &f->err), ERR_CORRUPT);
    assert_non_null(strstr(f->err.message, "table event "));
    OK(f, store_merge_run(&m, &f->err));
    OK(f, store_merge_verify(&m, &f->err));
    assert_equal_stores(f, f->reg.kv, copy);
    OK(f, kv_backup_made(copy, &f->err));
}

static void
a_number_apart_stays_where_it_is(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {
        .from = f->reg.kv, .to = copy, .apart = "something", .is_over = over, .tell = tell};
    uint64_t number = 0;

    fill(f, 0, 1);
    OK(f, txn_run(copy, spoil, NULL, &f->err));
    OK(f, store_merge_run(&m, &f->err));
    OK(f, store_merge_verify(&m, &f->err));
    assert_int_equal(tbl_meta_get(kv_reads(copy), "something", &number, &f->err), 1);
    assert_int_equal(number, 5);
    OK(f, kv_backup_made(copy, &f->err));
}

static void
one_that_is_interrupted_goes_on(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {.from = f->reg.kv, .to = copy, .is_over = over, .tell = tell};

    fill(f, 0, 50);
    is_ended = true;
    REFUSED(f, store_merge_run(&m, &f->err), ERR_BUSY);
    is_ended = false;
    OK(f, store_merge_run(&m, &f->err));
    OK(f, store_merge_verify(&m, &f->err));
    assert_equal_stores(f, f->reg.kv, copy);
    OK(f, kv_backup_made(copy, &f->err));
}

static int
drop_event(struct txn *t, void *arg, struct err *err)
{
    return kv_drop(t, TABLE_EVENT, *(struct bytes *)arg, err);
}

static int
note_told(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return tbl_meta_put(t, META_EVENTS_TOLD, 4711, err);
}

static int
append_event(struct txn *t, void *arg, struct err *err)
{
    (void)arg;
    return kv_append(t, TABLE_EVENT, bytes_str("next"), err);
}

/* Or those who have told all up to that number would pass over the next ones. */
static void
numbers_of_events_that_are_gone_are_not_given_again(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {.from = f->reg.kv, .to = copy, .is_over = over, .tell = tell};
    struct buf key;

    fill(f, 0, 2);
    buf_init(&key, 4);
    while (kv_last(kv_reads(f->reg.kv), TABLE_EVENT, bytes_str(""), &key, NULL, &f->err) == 1) {
        struct bytes k = buf_bytes(&key);

        OK(f, txn_run(f->reg.kv, drop_event, &k, &f->err));
    }
    OK(f, txn_run(f->reg.kv, note_told, NULL, &f->err));
    OK(f, store_merge_run(&m, &f->err));
    OK(f, store_merge_verify(&m, &f->err));
    OK(f, txn_run(copy, append_event, NULL, &f->err));
    assert_int_equal(kv_last(kv_reads(copy), TABLE_EVENT, bytes_str(""), &key, NULL, &f->err), 1);
    assert_memory_equal(key.p, "\0\0\x12\x68", 4);
    buf_free(&key);
    OK(f, kv_backup_made(copy, &f->err));
}

static int
drop_record(struct txn *t, void *arg, struct err *err)
{
    struct bytes *key = arg;

    return kv_drop(t, TABLE_EDGE, *key, err);
}

/* Back into the filling under test. */
static void
the_way_back_leads_to_the_same_store(void **state)
{
    struct fixture *f = *state;
    struct kv *copy = make_copy(f);
    struct store_merge m = {.from = f->reg.kv, .to = copy, .is_over = over, .tell = tell};
    struct buf key, before;

    fill(f, 0, 20);
    before = all_of(f, f->reg.kv);
    OK(f, store_merge_run(&m, &f->err));
    OK(f, kv_backup_made(copy, &f->err));
    copy = kv_backup_open("copy", tables, TABLE_COUNT, &f->err);
    assert_non_null(copy);

    fill(f, 20, 25);
    buf_init(&key, 1000);
    assert_int_equal(kv_last(kv_reads(f->reg.kv), TABLE_EDGE, bytes_str(""), &key, NULL, &f->err),
                     1);
    OK(f, txn_run(f->reg.kv, drop_record, &(struct bytes){key.p, key.n}, &f->err));
    buf_free(&key);
    m = (struct store_merge){.from = copy, .to = f->reg.kv, .is_over = over, .tell = tell};
    OK(f, store_merge_run(&m, &f->err));
    OK(f, store_merge_verify(&m, &f->err));
    assert_equal_stores(f, f->reg.kv, copy);
    kv_close(copy);
    struct buf after = all_of(f, f->reg.kv);
    assert_true(bytes_equal(buf_bytes(&before), buf_bytes(&after)));
    buf_free(&before);
    buf_free(&after);
    fill(f, 30, 31); /* it is a store that works */
}

int
main(void)
{
    const struct CMUnitTest tests_[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, fixture_store, fixture_done)
        T(a_copy_is_equal_and_a_second_one_only_writes_what_changed),
        T(what_is_too_much_or_lost_is_found_and_mended),
        T(a_number_apart_stays_where_it_is),
        T(one_that_is_interrupted_goes_on),
        T(numbers_of_events_that_are_gone_are_not_given_again),
        T(the_way_back_leads_to_the_same_store),
    };
    return cmocka_run_group_tests(tests_, NULL, NULL);
}
