#include "test_kv.h"
#include <signal.h>
#include <sys/prctl.h>
#include "util/random.h"

/* Writers, and a keeper who takes from the queue what they append, are killed at any moment, and
 * treated as the master does it: who died idle is replaced; when one died in_db all are killed, the
 * store is recovered, and all are started. Afterwards each write that a writer had been told to be
 * done must be there. KILLS in the environment: how many. */

#define WRITERS 5
#define KEEPER 0
#define TAKEN_AT_ONCE 50

struct writer {
    struct kv_slot slot;
    atomic_int acked; /* the number of its last write that is done */
    pid_t pid;
    int number;
};

static struct writer *writers;
static int recoveries;

/* write: "<writer> <number>" -> itself in A, the number as the writer's count in B, and an event.
 */
struct write {
    char writer[16];
    char key[32];
    int number;
};

/* Adds n to the number at key in B. */
static int
add(struct txn *t, const char *key, int n, struct err *e)
{
    struct buf b;
    char text[16];

    buf_init(&b, 16);
    int ret = kv_get_for_update(t, B, bytes_str(key), &b, e);
    if (ret >= 0) {
        long before = ret == 1 ? strtol(buf_text(&b), NULL, 10) : 0;
        snprintf(text, sizeof text, "%d", (int)before + n);
        ret = kv_put(t, B, bytes_str(key), bytes_str(text), e);
    }
    buf_free(&b);
    return ret;
}

static int
write_fn(struct txn *t, void *arg, struct err *e)
{
    struct write *w = arg;

    if (kv_put(t, A, bytes_str(w->key), bytes_str(w->key), e) != 0 ||
        add(t, w->writer, 1, e) != 0 || kv_append(t, Q, bytes_str(w->key), e) != 0)
        return -1;
    return 0;
}

/* A write may be done without its writer having lived to hear of it: numbers are left out after a
 * death, never used again. */
static void
write_for_ever(struct writer *self)
{
    struct write w = {.number = self->number};
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    struct kv *kv = kv_open("db", defs, COUNT, &self->slot, lost, &err);
    CHECK(kv != NULL);
    snprintf(w.writer, sizeof w.writer, "%d", (int)(self - writers));
    for (;;) {
        snprintf(w.key, sizeof w.key, "%s %d", w.writer, ++w.number);
        if (txn_run(kv, write_fn, &w, &err) == 0) {
            char ack[40];
            int n = snprintf(ack, sizeof ack, "%s\n", w.key);
            int fd = open("acks", O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
            CHECK(write(fd, ack, (size_t)n) == n);
            close(fd);
            atomic_store(&self->acked, w.number);
        } else {
            CHECK(err.code == ERR_BUSY);
        }
        clock_sleep_ms(random_u64() % 4);
    }
}

struct taken {
    uint8_t key[TAKEN_AT_ONCE][4];
    int n;
};

static int
take_fn(struct txn *t, void *arg, struct err *e)
{
    struct taken *taken = arg;

    if (add(t, "taken", taken->n, e) != 0)
        return -1;
    for (int i = 0; i < taken->n; i++)
        if (kv_delete(t, Q, bytes_of(taken->key[i], 4), e) != 1)
            return -1;
    return 0;
}

static void
keep_for_ever(struct writer *self)
{
    CHECK(prctl(PR_SET_PDEATHSIG, SIGKILL) == 0);
    struct kv *kv = kv_open("db", defs, COUNT, &self->slot, lost, &err);
    CHECK(kv != NULL);
    for (int round = self->number + 1;; round++) {
        struct taken taken = {.n = 0};
        struct kv_cursor *c;
        CHECK(kv_cursor_open(kv_reads(kv), Q, &c, &err) == 0);
        int ret = kv_cursor_seek(c, &(struct kv_range){0}, &err);
        for (; ret == 1 && taken.n < TAKEN_AT_ONCE; ret = kv_cursor_next(c, &err))
            memcpy(taken.key[taken.n++], kv_cursor_key(c).p, 4);
        CHECK(ret >= 0 || err.code == ERR_BUSY);
        kv_cursor_close(c);
        CHECK(txn_run(kv, take_fn, &taken, &err) == 0 || err.code == ERR_BUSY);
        if (round % 4 == 0)
            CHECK(kv_checkpoint(kv, 0, 0, &err) == 0 && kv_trim_logs(kv, &err) == 0);
        atomic_store(&self->acked, round);
        clock_sleep_ms(random_u64() % 4);
    }
}

static void
start(struct writer *w)
{
    w->number = atomic_load(&w->acked) + 1000;
    atomic_store(&w->slot.in_db, true);
    pid_t pid = fork();
    if (pid == 0) {
        if (w == &writers[KEEPER])
            keep_for_ever(w);
        write_for_ever(w);
    }
    assert_true(pid > 0);
    w->pid = pid;
}

static void
recover_child(void *arg)
{
    (void)arg;
    CHECK(kv_recover("db", defs, COUNT, &err) == 0);
}

static void
kill_all(void)
{
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].pid > 0)
            kill(writers[i].pid, SIGKILL);
    for (int i = 0; i < WRITERS; i++)
        if (writers[i].pid > 0)
            waitpid(writers[i].pid, NULL, 0);
}

static void
recover_and_start_all(void)
{
    kill_all();
    join(spawn(recover_child, NULL));
    recoveries++;
    for (int i = 0; i < WRITERS; i++)
        start(&writers[i]);
}

static void
died(struct writer *w)
{
    w->pid = 0;
    if (atomic_load(&w->slot.in_db))
        recover_and_start_all();
    else
        start(w);
}

/* Waits until each writer has got on; who dies meanwhile is treated as the master would. */
static void
wait_for_progress(void)
{
    uint64_t limit = clock_mono_ms() + 20000;

    for (int i = 0; i < WRITERS;) {
        int status;
        pid_t pid = waitpid(-1, &status, WNOHANG);
        for (int j = 0; pid > 0 && j < WRITERS; j++)
            if (writers[j].pid == pid)
                died(&writers[j]);
        if (atomic_load(&writers[i].acked) > writers[i].number) {
            i++;
        } else {
            clock_sleep_ms(1);
            if (clock_mono_ms() > limit)
                fail_msg("writer %d hangs", i);
        }
    }
    for (int i = 0; i < WRITERS; i++)
        writers[i].number = atomic_load(&writers[i].acked);
}

static int
count_all(struct kv *kv, unsigned table)
{
    struct kv_cursor *c;
    int n = 0;
    int ret;

    assert_int_equal(kv_cursor_open(kv_reads(kv), table, &c, &err), 0);
    for (ret = kv_cursor_seek(c, &(struct kv_range){0}, &err); ret == 1;
         ret = kv_cursor_next(c, &err))
        n++;
    assert_int_equal(ret, 0);
    kv_cursor_close(c);
    return n;
}

static int
number_at(struct kv *kv, const char *key)
{
    struct buf b;

    buf_init(&b, 16);
    assert_int_equal(kv_get(kv_reads(kv), B, bytes_str(key), &b, &err), 1);
    int n = (int)strtol(buf_text(&b), NULL, 10);
    buf_free(&b);
    return n;
}

static int
sum_of_counts(struct kv *kv)
{
    int sum = 0;

    for (int i = 0; i < WRITERS; i++) {
        char key[16];
        snprintf(key, sizeof key, "%d", i);
        if (i != KEEPER)
            sum += number_at(kv, key);
    }
    return sum;
}

/* How many; each of them must be there. */
static int
check_acks(struct kv *kv)
{
    char line[64];
    int n = 0;
    FILE *f = fopen("acks", "r");

    assert_non_null(f);
    while (fgets(line, sizeof line, f) != NULL) {
        line[strcspn(line, "\n")] = '\0';
        expect(kv, A, line, line);
        n++;
    }
    fclose(f);
    return n;
}

static void
no_write_that_was_acknowledged_is_lost(void **state)
{
    (void)state;
    const char *text = getenv("KILLS");
    int kills = text == NULL ? 20 : (int)strtol(text, NULL, 10);

    writers = shared(WRITERS * sizeof *writers);
    for (int i = 0; i < WRITERS; i++)
        start(&writers[i]);
    for (int i = 0; i < kills; i++) {
        wait_for_progress();
        clock_sleep_ms(random_u64() % 10);
        struct writer *w = &writers[random_u64() % WRITERS];
        pid_t pid = w->pid;
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        died(w);
    }
    wait_for_progress();
    kill_all();
    join(spawn(recover_child, NULL));

    struct kv *kv = open_kv(NULL);
    int acks = check_acks(kv);
    int done = count_all(kv, A);
    print_message("%d kills, %d recoveries, %d writes, %d acknowledged\n", kills, recoveries, done,
                  acks);
    assert_true(acks >= (kills + 1) * (WRITERS - 1));
    assert_true(done >= acks);
    /* A transaction that was not acknowledged is there as a whole, or not at all. */
    assert_int_equal(count_all(kv, Q) + number_at(kv, "taken"), done);
    assert_int_equal(sum_of_counts(kv), done);
    kv_close(kv);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(no_write_that_was_acknowledged_is_lost, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
