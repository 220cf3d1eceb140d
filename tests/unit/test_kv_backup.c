#include "test_kv.h"
#include "storage/kv/kv_backup.h"

/* Copies of a store: consistent while others write, verified, and repeatable with later logs. */

#define KEYS 2000

static bool
never(void *arg)
{
    (void)arg;
    return false;
}

static bool
at_once(void *arg)
{
    (void)arg;
    return true;
}

/* Both tables get the key in one transaction, and the queue gets it too. */
static int
put_both(struct txn *t, void *arg, struct err *e)
{
    struct op *o = arg;

    return kv_put(t, A, bytes_str(o->key), o->val, e) != 0 ||
                   kv_put(t, B, bytes_str(o->key), o->val, e) != 0 ||
                   kv_append(t, Q, bytes_str(o->key), e) != 0
               ? -1
               : 0;
}

static void
write_key(struct kv *kv, int i)
{
    char key[16], text[1000];
    struct op o = {.key = key};

    snprintf(key, sizeof key, "%06d", i);
    memset(text, 'a' + i % 26, sizeof text);
    o.val = bytes_of(text, sizeof text);
    if (txn_run(kv, put_both, &o, &err) != 0)
        fail_msg("%s", err.message);
}

static size_t
count(struct kv *kv, unsigned table)
{
    struct kv_cursor *c;
    size_t n = 0;
    int rc;

    assert_int_equal(kv_cursor_open(kv_reads(kv), table, &c, &err), 0);
    for (rc = kv_cursor_seek(c, &(struct kv_range){0}, &err); rc == 1; rc = kv_cursor_next(c, &err))
        n++;
    assert_int_equal(rc, 0);
    kv_cursor_close(c);
    return n;
}

static size_t
count_quietly(const char *dir)
{
    struct kv *kv = kv_backup_open(dir, defs, COUNT, &err);
    size_t n;

    if (kv == NULL)
        fail_msg("%s", err.message);
    n = count(kv, A);
    assert_int_equal(count(kv, B), n);
    assert_int_equal(count(kv, Q), n);
    kv_close(kv);
    return n;
}

static atomic_int *written;

static void
write_all(void *arg)
{
    struct kv *kv = open_kv(NULL);

    (void)arg;
    for (int i = 0; i < KEYS; i++) {
        write_key(kv, i);
        atomic_store(written, i + 1);
        if (i % 500 == 0)
            CHECK(kv_checkpoint(kv, 0, 0, &err) == 0);
    }
    kv_close(kv);
}

static int
files_in(const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    int n = 0;

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        n += strncmp(e->d_name, prefix, strlen(prefix)) == 0;
    closedir(d);
    return n;
}

static void
mend(const char *dir)
{
    if (kv_backup_mend(dir, defs, COUNT, &err) != 0)
        fail_msg("%s", err.message);
}

static void
a_copy_beside_a_writer_has_all_that_was_committed_before(void **state)
{
    uint64_t moment, before = clock_wall_ms();
    int acked;
    size_t n;

    (void)state;
    written = shared(sizeof *written);
    struct kv *kv = open_kv(NULL);
    pid_t pid = spawn(write_all, NULL);
    assert_true(wait_for(written, KEYS / 4));
    for (int i = 0; i < 3; i++) {
        char dir[16];

        snprintf(dir, sizeof dir, "copy%d", i);
        assert_int_equal(mkdir(dir, 0700), 0);
        acked = atomic_load(written);
        assert_int_equal(kv_backup_copy(kv, dir, &moment, never, NULL, &err), 0);
        assert_in_range(moment, before, clock_wall_ms());
        mend(dir);
        n = count_quietly(dir);
        assert_in_range(n, (size_t)acked, KEYS);
        assert_int_equal(files_in(dir, "__db."), 0);
        assert_int_equal(files_in(dir, "log."), 1);
    }
    join(pid);
    kv_close(kv);
    /* as a store */
    assert_int_equal(rename("db", "old"), 0);
    assert_int_equal(rename("copy2", "db"), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    assert_int_equal(count(kv, A), n);
    write_key(kv, KEYS + 1);
    assert_int_equal(count(kv, Q), n + 1);
    kv_close(kv);
}

/* 0: it is no log. */
static uint32_t
log_number(const char *name)
{
    return strncmp(name, "log.", 4) == 0 ? (uint32_t)strtoul(name + 4, NULL, 10) : 0;
}

static uint32_t
last_log(const char *dir)
{
    DIR *d = opendir(dir);
    uint32_t last = 0;

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        last = log_number(e->d_name) > last ? log_number(e->d_name) : last;
    closedir(d);
    return last;
}

static void
link_logs(const char *from, const char *to)
{
    DIR *d = opendir(from);
    char a[600], b[600];

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (log_number(e->d_name) == 0)
            continue;
        snprintf(a, sizeof a, "%s/%s", from, e->d_name);
        snprintf(b, sizeof b, "%s/%s", to, e->d_name);
        unlink(b);
        assert_int_equal(link(a, b), 0);
    }
    closedir(d);
}

/* The bytes of all logs in a directory. */
static off_t
bytes_of_logs(const char *dir)
{
    DIR *d = opendir(dir);
    struct stat st;
    off_t all = 0;

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (log_number(e->d_name) > 0 && fstatat(dirfd(d), e->d_name, &st, 0) == 0)
            all += st.st_size;
    closedir(d);
    return all;
}

/* The copy's own log, if it has a number that the others don't have. */
static void
unlink_newer(const char *dir, uint32_t last)
{
    DIR *d = opendir(dir);

    assert_non_null(d);
    for (const struct dirent *e; (e = readdir(d)) != NULL;)
        if (log_number(e->d_name) > last)
            assert_int_equal(unlinkat(dirfd(d), e->d_name, 0), 0);
    closedir(d);
}

static void
a_mended_copy_and_later_logs_are_all(void **state)
{
    uint64_t moment;
    uint32_t first, last;
    struct kv *kv = open_kv(NULL);

    (void)state;
    for (int i = 0; i < 100; i++)
        write_key(kv, i);
    first = last_log("db");
    assert_int_equal(mkdir("copy", 0700), 0);
    assert_int_equal(mkdir("logs", 0700), 0);
    assert_int_equal(kv_backup_copy(kv, "copy", &moment, never, NULL, &err), 0);
    mend("copy");
    assert_int_equal(count_quietly("copy"), 100);
    for (int i = 100; i < 9000; i++) {
        write_key(kv, i);
        if (i % 1000 == 0) {
            link_logs("db", "logs");
            assert_int_equal(kv_checkpoint(kv, 0, 0, &err), 0);
            assert_int_equal(kv_trim_logs(kv, &err), 0);
        }
    }
    link_logs("db", "logs");
    last = last_log("db");
    assert_true(last > first);
    kv_close(kv);
    assert_int_equal(fdio_remove_tree(AT_FDCWD, "db", &err), 0);
    assert_in_range(bytes_of_logs("copy"), 1, 4000);
    link_logs("logs", "copy");
    unlink_newer("copy", last);
    mend("copy");
    assert_int_equal(count_quietly("copy"), 9000);
    assert_int_equal(rename("copy", "db"), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), 0);
    kv = open_kv(NULL);
    assert_int_equal(count(kv, A), 9000);
    kv_close(kv);
}

/* The writer's pages reach a file in any order: before the last one there may be holes. */
static void
pages_that_were_not_written_yet_come_from_the_log(void **state)
{
    uint64_t moment;
    struct stat st;
    struct kv *kv = open_kv(NULL);

    (void)state;
    for (int i = 0; i < 100; i++)
        write_key(kv, i);
    assert_int_equal(mkdir("copy", 0700), 0);
    assert_int_equal(kv_backup_copy(kv, "copy", &moment, never, NULL, &err), 0);
    for (int i = 100; i < 300; i++)
        write_key(kv, i);
    kv_close(kv);
    link_logs("db", "copy");
    assert_int_equal(stat("copy/a", &st), 0);
    assert_int_equal(truncate("copy/a", st.st_size + 10 * st.st_blksize), 0);
    mend("copy");
    assert_int_equal(count_quietly("copy"), 300);
}

static void
damage_is_named(void **state)
{
    uint64_t moment;
    struct kv *kv = open_kv(NULL);

    (void)state;
    for (int i = 0; i < 100; i++)
        write_key(kv, i);
    assert_int_equal(mkdir("copy", 0700), 0);
    assert_int_equal(kv_backup_copy(kv, "copy", &moment, at_once, NULL, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(kv_backup_copy(kv, "copy", &moment, never, NULL, &err), 0);
    kv_close(kv);
    mend("copy");
    assert_int_equal(kv_backup_verify("copy", defs, COUNT, &err), 0);
    assert_int_equal(truncate("copy/b", 4096 * 5 + 100), 0);
    assert_int_equal(kv_backup_verify("copy", defs, COUNT, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_non_null(strstr(err.message, "table b"));
    assert_int_equal(unlink("copy/b"), 0);
    assert_int_equal(kv_backup_verify("copy", defs, COUNT, &err), -1);
    assert_int_equal(err.code, ERR_CORRUPT);
    assert_null(kv_backup_open("copy", defs, COUNT, &err));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
        T(a_copy_beside_a_writer_has_all_that_was_committed_before),
        T(a_mended_copy_and_later_logs_are_all),
        T(pages_that_were_not_written_yet_come_from_the_log),
        T(damage_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
