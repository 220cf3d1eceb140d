#include "test_kv.h"
#include <dirent.h>
#include "storage/kv/kv_backup.h"
#include "util/mem.h"

/* Logs that are damaged or missing are used as far as they can be read; tables without them only if
 * they have everything. */

#define LARGE 60000
#define LOG_BYTES (16u << 20)
#define LOGS 3

struct pair {
    char key[16];
    struct bytes val;
};

/* Both tables get the key in one transaction, and the queue gets it too. */
static int
put_pair(struct txn *t, void *arg, struct err *e)
{
    struct pair *p = arg;

    return kv_put(t, A, bytes_str(p->key), p->val, e) != 0 ||
                   kv_put(t, B, bytes_str(p->key), p->val, e) != 0 ||
                   kv_append(t, Q, bytes_str(p->key), e) != 0
               ? -1
               : 0;
}

static void
write_pair(struct kv *kv, int i, size_t bytes)
{
    struct pair p;
    char *text = mem_alloc(bytes);

    memset(text, 'a' + i % 26, bytes);
    snprintf(p.key, sizeof p.key, "%06d", i);
    p.val = bytes_of(text, bytes);
    if (txn_run(kv, put_pair, &p, &err) != 0)
        fail_msg("%s", err.message);
    free(text);
}

static void
name_log(char path[64], const char *dir, unsigned number)
{
    snprintf(path, 64, "%s/log.%010u", dir, number);
}

static bool
is_there(const char *dir, unsigned number)
{
    char path[64];

    name_log(path, dir, number);
    return access(path, F_OK) == 0;
}

/* The number of keys, which are those from 0 on, each in both tables and in the queue. */
static int
count_pairs(const char *dir)
{
    struct kv *kv = kv_backup_open(dir, defs, COUNT, &err);
    size_t n[COUNT] = {0};
    int rc;

    if (kv == NULL)
        fail_msg("%s", err.message);
    for (unsigned table = 0; table < COUNT; table++) {
        struct kv_cursor *c;

        assert_int_equal(kv_cursor_open(kv_reads(kv), table, &c, &err), 0);
        for (rc = kv_cursor_seek(c, &(struct kv_range){0}, &err); rc == 1;
             rc = kv_cursor_next(c, &err))
            n[table]++;
        assert_int_equal(rc, 0);
        kv_cursor_close(c);
    }
    kv_close(kv);
    assert_int_equal(n[A], n[B]);
    assert_int_equal(n[A], n[Q]);
    return (int)n[A];
}

/* Fills several logs. *begun: the first key that was begun in each of them. Returns the number of
 * keys. */
static int
fill_logs(int begun[LOGS + 2])
{
    struct kv *kv = open_kv(NULL);
    unsigned log = 1;
    int n = 0;

    begun[1] = 0;
    while (log <= LOGS) {
        write_pair(kv, n++, LARGE);
        if (is_there("db", log + 1))
            begun[++log] = n;
    }
    for (int i = 0; i < 5; i++)
        write_pair(kv, n++, 100);
    kv_close(kv);
    return n;
}

static void
change_log(const char *dir, unsigned number, off_t at, size_t n)
{
    char path[64], bytes[5000];
    int fd;

    name_log(path, dir, number);
    fd = open(path, O_RDWR);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, bytes, 1, at), 1);
    bytes[0] ^= 1;
    if (n > 1)
        memset(bytes, 0, sizeof bytes);
    assert_int_equal(pwrite(fd, bytes, n, at), (ssize_t)n);
    close(fd);
}

static void
copy_logs_to(const char *dir)
{
    char from[64], to[64];
    struct stat st;

    assert_int_equal(fdio_remove_tree(AT_FDCWD, dir, &err), 0);
    assert_int_equal(mkdir(dir, 0700), 0);
    for (unsigned i = 1; is_there("db", i); i++) {
        int in, out;

        name_log(from, "db", i);
        name_log(to, dir, i);
        in = open(from, O_RDONLY);
        out = open(to, O_RDWR | O_CREAT | O_EXCL, 0600);
        assert_int_equal(fstat(in, &st), 0);
        assert_int_equal(fdio_append(out, 0, in, (uint64_t)st.st_size, to, &err), 0);
        close(in);
        close(out);
    }
}

static struct kv_log_state
cut_and_mend(const char *dir)
{
    struct kv_log_state state;

    if (kv_backup_cut_logs(dir, "none", &state, &err) != 0 ||
        kv_backup_mend(dir, defs, COUNT, &err) != 0)
        fail_msg("%s", err.message);
    return state;
}

static void
logs_are_used_up_to_the_damage(void **state)
{
    int begun[LOGS + 2], n = fill_logs(begun);
    const uint64_t now = clock_wall_ms() / 1000;
    struct kv_log_state s;
    char path[64];

    (void)state;
    copy_logs_to("whole");
    s = cut_and_mend("whole");
    assert_true(s.is_whole);
    assert_int_equal(count_pairs("whole"), n);

    copy_logs_to("cut");
    change_log("cut", 2, LOG_BYTES / 2, 1);
    s = cut_and_mend("cut");
    assert_false(s.is_whole);
    assert_string_equal(s.log, "log.0000000002");
    assert_in_range(s.at, LOG_BYTES / 2 - 200000, LOG_BYTES / 2);
    assert_in_range(s.lost, LOG_BYTES / 2 + 15000000, 3 * LOG_BYTES);
    assert_in_range(s.moment_s, now - 100, now);
    assert_in_range(count_pairs("cut"), begun[2], begun[3]);

    /* as if the log ended there */
    copy_logs_to("zeros");
    name_log(path, "zeros", 2);
    assert_int_equal(truncate(path, LOG_BYTES / 2), 0);
    assert_int_equal(truncate(path, LOG_BYTES), 0);
    s = cut_and_mend("zeros");
    assert_false(s.is_whole);
    assert_string_equal(s.log, "log.0000000002");
    assert_in_range(count_pairs("zeros"), begun[2], begun[3]);

    copy_logs_to("hole");
    name_log(path, "hole", 2);
    assert_int_equal(unlink(path), 0);
    s = cut_and_mend("hole");
    assert_false(s.is_whole);
    assert_string_equal(s.log, "log.0000000001");
    assert_in_range(count_pairs("hole"), begun[2] - 1, begun[2]);

    copy_logs_to("none");
    change_log("none", 1, 0, 5000);
    change_log("none", 2, 0, 5000);
    for (unsigned i = 3; is_there("none", i); i++) {
        name_log(path, "none", i);
        assert_int_equal(unlink(path), 0);
    }
    assert_int_equal(kv_backup_cut_logs("none", "db", &s, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

/* The beginning of a record at the end of the log is left by a crash, and no damage. */
static void
half_a_record_at_the_end_is_none(void **state)
{
    struct kv *kv = open_kv(NULL);
    struct kv_log_state s;
    struct stat st;
    off_t used = 0;
    char path[64], *log;
    int fd;

    (void)state;
    for (int i = 0; i < 20; i++)
        write_pair(kv, i, 1000);
    kv_close(kv);
    copy_logs_to("copy");
    name_log(path, "copy", 1);
    fd = open(path, O_RDWR);
    assert_int_equal(fstat(fd, &st), 0);
    log = mem_alloc((size_t)st.st_size);
    assert_int_equal(pread(fd, log, (size_t)st.st_size, 0), st.st_size);
    for (off_t i = 0; i < st.st_size; i++)
        if (log[i] != 0)
            used = i + 1;
    free(log);
    assert_int_equal(ftruncate(fd, used - 10), 0);
    close(fd);
    s = cut_and_mend("copy");
    assert_true(s.is_whole);
    assert_int_equal(count_pairs("copy"), 19);
    /* The store says that there was more. */
    copy_logs_to("copy");
    kv = open_kv(NULL);
    write_pair(kv, 20, 1000);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    kv_close(kv);
    assert_int_equal(kv_backup_cut_logs("copy", "db", &s, &err), 0);
    assert_false(s.is_whole);
}

static void
tables_are_taken_only_with_everything(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    for (int i = 0; i < 50; i++)
        write_pair(kv, i, 1000);
    assert_int_equal(mkdir("new", 0700), 0);
    assert_int_equal(kv_backup_take_tables("db", "new", defs, COUNT, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    write_pair(kv, 50, 1000);
    assert_int_equal(kv_backup_take_tables("db", "new", defs, COUNT, &err), -1);
    assert_non_null(strstr(err.message, "the tables in db lack what is in its log"));
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    kv_close(kv);

    change_log("db", 1, 5000, 1);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), -1); /* which would cut the log */
    assert_int_equal(kv_backup_take_tables("db", "new", defs, COUNT, &err), 0);
    assert_int_equal(count_pairs("new"), 51);
    assert_int_equal(fdio_remove_tree(AT_FDCWD, "db", &err), 0);
    assert_int_equal(rename("new", "db"), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    write_pair(kv, 51, 1000);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    kv_close(kv);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), 0);
    assert_int_equal(count_pairs("db"), 52);

    assert_int_equal(truncate("db/b", 8192), 0);
    assert_int_equal(mkdir("new", 0700), 0);
    assert_int_equal(kv_backup_take_tables("db", "new", defs, COUNT, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
}

/* The end of the log is cut off: only the note of a stop tells that the tables have everything. */
static void
a_stop_is_noted(void **state)
{
    struct kv *kv = open_kv(NULL);

    (void)state;
    for (int i = 0; i < 50; i++)
        write_pair(kv, i, 1000);
    assert_int_equal(kv_backup_note_stop("db", &err), -1); /* the tables lack something */
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    kv_close(kv);
    assert_int_equal(kv_backup_note_stop("db", &err), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), 0);
    assert_int_equal(access("db/stopped", F_OK), -1); /* it isn't stopped any more */
    kv = open_kv(NULL);
    write_pair(kv, 50, 1000);
    assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
    kv_close(kv);
    assert_int_equal(kv_backup_note_stop("db", &err), 0);

    assert_int_equal(truncate("db/log.0000000001", 50000), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), -1);
    assert_int_equal(access("db/stopped", F_OK), 0);
    assert_int_equal(mkdir("new", 0700), 0);
    assert_int_equal(kv_backup_take_tables("db", "new", defs, COUNT, &err), 0);
    assert_int_equal(count_pairs("new"), 51);
    assert_int_equal(access("new/stopped", F_OK), -1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(logs_are_used_up_to_the_damage),
        T(half_a_record_at_the_end_is_none),
        T(tables_are_taken_only_with_everything),
        T(a_stop_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
