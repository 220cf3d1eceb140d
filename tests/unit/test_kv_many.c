#include "test_kv.h"
#include <db.h>
#include <signal.h>

/* The store with several processes at once: conflicts, and reads beside them. */

static int
count_fn(struct txn *t, void *arg, struct err *e)
{
    /* Without kv_get_for_update, and in either order: as many conflicts as can be. */
    const unsigned *order = arg;
    for (int i = 0; i < 2; i++) {
        struct buf b;
        buf_init(&b, 20);
        int ret = kv_get(t, order[i], bytes_str("n"), &b, e);
        char text[24];
        snprintf(text, sizeof text, "%ld", ret == 1 ? strtol(buf_text(&b), NULL, 10) + 1 : 1);
        buf_free(&b);
        if (ret < 0 || kv_put(t, order[i], bytes_str("n"), bytes_str(text), e) != 0)
            return -1;
    }
    return 0;
}

static void
counting_child(void *arg)
{
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    for (int done = 0; done < 100;) {
        if (txn_run(kv, count_fn, arg, &err) == 0)
            done++;
        else
            CHECK(err.code == ERR_BUSY);
    }
    kv_close(kv);
}

static void
transactions_in_conflict_all_succeed(void **state)
{
    (void)state;
    static unsigned ab[2] = {A, B};
    static unsigned ba[2] = {B, A};
    pid_t one = spawn(counting_child, ab);
    pid_t two = spawn(counting_child, ba);
    pid_t three = spawn(counting_child, ba);
    join(one);
    join(two);
    join(three);
    struct kv *kv = open_kv(NULL);
    expect(kv, A, "n", "300");
    expect(kv, B, "n", "300");
    kv_close(kv);
}

/* One that always loses: the winner holds more, and takes what the loser has, once it waits. */
struct duel {
    atomic_int winner_has_b; /* how many times */
    atomic_int loser_has_a;
    atomic_int over;
    int round;
    int tries;
    bool swallow;
};

static int
winner_fn(struct txn *t, void *arg, struct err *e)
{
    struct duel *d = arg;
    for (int i = 0; i < 5; i++)
        if (kv_append(t, Q, bytes_str("w"), e) != 0)
            return -1;
    if (kv_put(t, B, bytes_str("b"), bytes_str("w"), e) != 0)
        return -1;
    atomic_store(&d->winner_has_b, d->round);
    while (atomic_load(&d->loser_has_a) < d->round && !atomic_load(&d->over))
        clock_sleep_ms(1);
    return kv_put(t, A, bytes_str("a"), bytes_str("w"), e);
}

static void
winner_child(void *arg)
{
    struct duel *d = arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    for (d->round = 1; !atomic_load(&d->over); d->round++)
        CHECK(txn_run(kv, winner_fn, d, &err) == 0);
    kv_close(kv);
}

static int
loser_fn(struct txn *t, void *arg, struct err *e)
{
    struct duel *d = arg;
    d->tries++;
    if (kv_put(t, A, bytes_str("a"), bytes_str("l"), e) != 0)
        return -1;
    atomic_store(&d->loser_has_a, d->tries);
    if (!wait_for(&d->winner_has_b, d->tries))
        return err_set(e, ERR_SYSTEM, "the winner doesn't come");
    if (kv_get(t, B, bytes_str("b"), NULL, e) == -1) {
        if (e->code != ERR_BUSY || kv_put(t, A, bytes_str("a"), bytes_str("x"), e) != -1)
            return err_set(e, ERR_SYSTEM, "no conflict, or it goes on after one");
        return d->swallow ? 0 : -1;
    }
    return 0;
}

static void
lose_always(bool swallow)
{
    struct duel *d = shared(sizeof *d);
    d->swallow = swallow;
    pid_t winner = spawn(winner_child, d);
    struct kv *kv = open_kv(NULL);
    assert_int_equal(txn_run(kv, loser_fn, d, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(d->tries, 21);
    atomic_store(&d->over, 1);
    join(winner);
    expect(kv, A, "a", "w");
    kv_close(kv);
    munmap(d, sizeof *d);
}

static void
who_loses_every_conflict_is_told_busy(void **state)
{
    ONLY_WITH_BERKELEY_DB("it depends on the choice of a victim, and nobody loses for ever");
    (void)state;
    lose_always(false);
}

static void
a_conflict_cannot_be_swallowed(void **state)
{
    ONLY_WITH_BERKELEY_DB("it depends on the choice of a victim");
    (void)state;
    lose_always(true);
}

/* Two keys far from each other, so that it holds two pages in either order. */
static int
pair_fn(struct txn *t, void *arg, struct err *e)
{
    static char val[600];
    char key[16], other[16];
    const int *i = arg;

    snprintf(key, sizeof key, "%04d", *i % 400);
    snprintf(other, sizeof other, "%04d", *i * 211 % 400);
    memset(val, 'a' + *i % 26, sizeof val);
    if (kv_put(t, A, bytes_str(key), bytes_of(val, sizeof val), e) != 0)
        return -1;
    if (*i % 5 == 4)
        return kv_delete(t, A, bytes_str(other), e) < 0 ? -1 : 0;
    if (kv_put(t, A, bytes_str(other), bytes_of(val, sizeof val), e) != 0 ||
        kv_put(t, B, bytes_str(key), bytes_of(val, 10), e) != 0 ||
        kv_append(t, Q, bytes_str("e"), e) != 0)
        return -1;
    return 0;
}

static void
writing_child(void *arg)
{
    atomic_int *writers = arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    for (int i = 0; i < 1500; i++) {
        int n = i * 37;
        CHECK(txn_run(kv, pair_fn, &n, &err) == 0);
    }
    kv_close(kv);
    atomic_fetch_sub(writers, 1);
}

/* All of a table, with a look at another for each: in order, and no error. */
static void
scan(struct kv *kv, unsigned table, bool look)
{
    struct kv_cursor *c;
    struct buf last, val;
    int ret;

    buf_init(&last, 100);
    buf_init(&val, 1000);
    assert_int_equal(kv_cursor_open(kv_reads(kv), table, &c, &err), 0);
    for (ret = kv_cursor_seek(c, &(struct kv_range){0}, &err); ret == 1;
         ret = kv_cursor_next(c, &err)) {
        struct bytes k = kv_cursor_key(c);
        assert_int_equal(k.n, 4);
        assert_true(last.n == 0 || memcmp(last.p, k.p, 4) < 0);
        buf_reset(&last);
        buf_put(&last, k.p, k.n);
        if (look && kv_get(kv_reads(kv), table == A ? B : A, k, &val, &err) < 0)
            fail_msg("%s", err.message);
    }
    if (ret != 0)
        fail_msg("%s", err.message);
    kv_cursor_close(c);
    buf_free(&last);
    buf_free(&val);
}

static void
reads_outside_transactions_go_on_while_others_write(void **state)
{
    (void)state;
    atomic_int *writers = shared(sizeof *writers);
    atomic_store(writers, 2);
    pid_t one = spawn(writing_child, writers);
    pid_t two = spawn(writing_child, writers);
    struct kv *kv = open_kv(NULL);
    while (atomic_load(writers) > 0) {
        scan(kv, A, true);
        scan(kv, B, true);
        scan(kv, A, false);
        scan(kv, Q, false);
        assert_true(kv_last(kv_reads(kv), A, bytes_str("0"), NULL, NULL, &err) >= 0);
        if (waitpid(one, NULL, WNOHANG) == one)
            break;
    }
    waitpid(one, NULL, 0);
    join(two);
    assert_int_equal(atomic_load(writers), 0);
    kv_close(kv);
    munmap(writers, sizeof *writers);
}

static void
one_write_child(void *arg)
{
    atomic_int *step = arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    struct op o = {.table = A, .key = "a", .val = bytes_str("2")};
    atomic_store(step, 1);
    CHECK(wait_for(step, 2));
    CHECK(txn_run(kv, put_fn, &o, &err) == 0);
    kv_close(kv);
}

static void
a_look_beside_an_open_cursor_does_not_wait_for_who_waits_for_the_cursor(void **state)
{
    ONLY_WITH_BERKELEY_DB("a cursor outside a transaction locks nothing");
    (void)state;
    struct kv_cursor *c, *d;
    atomic_int *step = shared(sizeof *step);
    pid_t writer = spawn(one_write_child, step);
    struct kv *kv = open_kv(NULL);
    assert_true(wait_for(step, 1));
    put(kv, A, "a", "1");
    put(kv, A, "b", "1");
    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &c, &err), 0);
    assert_int_equal(kv_cursor_seek(c, &(struct kv_range){.from = bytes_str("a")}, &err), 1);
    atomic_store(step, 2);
    clock_sleep_ms(200); /* the writer stands in front of the page now, or the test is too easy */
    expect(kv, A, "a", "1");
    expect(kv, A, "b", "1");
    assert_int_equal(kv_cursor_open(kv_reads(kv), A, &d, &err), 0);
    assert_int_equal(kv_cursor_seek(d, &(struct kv_range){.from = bytes_str("b")}, &err), 1);
    assert_int_equal(kv_cursor_next(c, &err), 1);
    kv_cursor_close(c);
    kv_cursor_close(d);
    join(writer);
    expect(kv, A, "a", "2");
    kv_close(kv);
    munmap(step, sizeof *step);
}

/* Two who find that a key isn't there, and each want to put it. */
struct place {
    const char *key;
    atomic_int step;
    int found[2];
};

static int
look_at_place_fn(struct txn *t, void *arg, struct err *e)
{
    struct place *p = arg;

    p->found[1] = kv_get_for_update(t, A, bytes_str(p->key), NULL, e);
    return p->found[1] < 0 ? -1 : 0;
}

static void
second_child(void *arg)
{
    struct place *p = arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);
    atomic_store(&p->step, 2);
    CHECK(wait_for(&p->step, 3));
    CHECK(txn_run(kv, look_at_place_fn, p, &err) == 0);
    kv_close(kv);
}

static int
first_fn(struct txn *t, void *arg, struct err *e)
{
    struct place *p = arg;

    p->found[0] = kv_get_for_update(t, A, bytes_str(p->key), NULL, e);
    atomic_store(&p->step, 3);
    clock_sleep_ms(200); /* the other one comes now, or the test is too easy */
    return kv_put(t, A, bytes_str(p->key), bytes_str("x"), e);
}

static void
what_is_not_there_is_locked_too(void **state)
{
    (void)state;
    static const char *const keys[] = {"first of all", "b", "zzz", "a", "m"};
    struct kv *kv = open_kv(NULL);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        struct place *p = shared(sizeof *p);
        p->key = keys[i];
        pid_t second = spawn(second_child, p);
        assert_true(wait_for(&p->step, 2));
        assert_int_equal(txn_run(kv, first_fn, p, &err), 0);
        join(second);
        assert_int_equal(p->found[0], 0);
        assert_int_equal(p->found[1], 1);
        munmap(p, sizeof *p);
        for (int n = 0; n < 400; n++) { /* more pages */
            char key[32];
            snprintf(key, sizeof key, "%c%03d", "bqy"[n % 3], n);
            put(kv, A, key, "0123456789012345678901234567890123456789");
        }
    }
    kv_close(kv);
}

/* ---- another process has met a damaged page ---- */

#define MARKED_MS 30

/* The library marks the environment as lost, and the filling takes the mark back. */
struct marker {
    atomic_int wanted; /* how many marks so far */
    atomic_int made;
};

static struct marker *marker;

static void
set_mark(DB_ENV *env, int on)
{
    CHECK(env->set_flags(env, DB_PANIC_ENVIRONMENT, on) == 0);
}

static void
marking_child(void *arg)
{
    (void)arg;
    DB_ENV *env;
    CHECK(db_env_create(&env, 0) == 0);
    CHECK(env->open(env, "db", DB_JOINENV, 0) == 0);
    for (int n = 1;; n++) {
        CHECK(wait_for(&marker->wanted, n));
        set_mark(env, 1);
        atomic_store(&marker->made, n);
        clock_sleep_ms(MARKED_MS);
        set_mark(env, 0);
    }
}

static void
mark(void)
{
    int n = atomic_load(&marker->wanted) + 1;
    clock_sleep_ms(MARKED_MS); /* the last one has gone */
    atomic_store(&marker->wanted, n);
    CHECK(wait_for(&marker->made, n));
}

/* Does the numbered step in a transaction while the mark is there. */
static int
marked_fn(struct txn *t, void *arg, struct err *e)
{
    int *when = arg;
    int now = (*when)--;
    if (now == 1)
        mark();
    if (kv_put(t, A, bytes_str("key"), bytes_str("new"), e) != 0)
        return -1;
    if (now == 2 || now == 3)
        mark();
    return now == 3 ? err_set(e, ERR_NO_IMAGE, "an abort") : 0;
}

static void
user_of_the_store(void *arg)
{
    struct kv_cursor *c;
    (void)arg;

    mark();
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    CHECK(kv != NULL);

    struct buf b;
    buf_init(&b, 10);
    mark();
    CHECK(kv_get(kv_reads(kv), A, bytes_str("a"), &b, &err) == 1);
    mark();
    CHECK(kv_cursor_open(kv_reads(kv), A, &c, &err) == 0);
    CHECK(kv_cursor_seek(c, &(struct kv_range){0}, &err) == 1);
    mark();
    CHECK(kv_cursor_next(c, &err) == 1);
    mark();
    kv_cursor_close(c);
    buf_free(&b);

    mark();
    CHECK(txn_run(kv, marked_fn, &(int){0}, &err) == 0);
    CHECK(txn_run(kv, marked_fn, &(int){1}, &err) == 0);
    CHECK(txn_run(kv, marked_fn, &(int){2}, &err) == 0);
    CHECK(txn_run(kv, marked_fn, &(int){3}, &err) == -1 && err.code == ERR_NO_IMAGE);
    mark();
    CHECK(kv_checkpoint(kv, 0, 0, &err) == 0 || err.code == ERR_BUSY);
    clock_sleep_ms(MARKED_MS);
    kv_close(kv);
}

static void
a_mark_that_goes_away_stops_nobody(void **state)
{
    ONLY_WITH_BERKELEY_DB("no environment is shared");
    (void)state;
    struct kv *kv = open_kv(NULL);
    put(kv, A, "a", "one");
    put(kv, A, "b", "two");
    marker = shared(sizeof *marker);
    pid_t marking = spawn(marking_child, NULL);
    join(spawn(user_of_the_store, NULL));
    kill(marking, SIGKILL);
    waitpid(marking, NULL, 0);
    expect(kv, A, "key", "new");
    /* ... and holds no lock: everything can be written. */
    put(kv, A, "a", "three");
    put(kv, A, "b", "four");
    kv_close(kv);
}

static void
user_of_a_lost_store(void *arg)
{
    (void)arg;
    struct kv *kv = kv_open(store_place(), defs, COUNT, NULL, lost, &err);
    DB_ENV *env;
    CHECK(kv != NULL && db_env_create(&env, 0) == 0);
    CHECK(env->open(env, "db", DB_JOINENV, 0) == 0);
    set_mark(env, 1);
    (void)kv_get(kv_reads(kv), A, bytes_str("a"), NULL, &err);
}

static void
a_mark_that_stays_asks_for_a_recovery(void **state)
{
    ONLY_WITH_BERKELEY_DB("no environment is shared");
    (void)state;
    int status;
    pid_t pid = spawn(user_of_a_lost_store, NULL);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(WEXITSTATUS(status), 70);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(transactions_in_conflict_all_succeed),
        TEST(who_loses_every_conflict_is_told_busy),
        TEST(a_conflict_cannot_be_swallowed),
        TEST(reads_outside_transactions_go_on_while_others_write),
        TEST(a_look_beside_an_open_cursor_does_not_wait_for_who_waits_for_the_cursor),
        TEST(what_is_not_there_is_locked_too),
        TEST(a_mark_that_goes_away_stops_nobody),
        TEST(a_mark_that_stays_asks_for_a_recovery),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
