#include "test_kv.h"
#include <sys/syscall.h>

/* A new store is made without waiting for the disk; one that was not finished is made anew. */

#define MARK "db/unfinished"
#define NOTES_MAX 8192

/* The names of what was synced and renamed, one a line, in this order. */
static char notes[NOTES_MAX];
static unsigned waits; /* of the library for the disk */

/* These take the place of the C library's. */
int
fsync(int fd)
{
    char link[64], path[512];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    n = readlink(link, path, sizeof path - 1);
    path[n < 0 ? 0 : n] = '\0';
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "%s\n", strrchr(path, '/') + 1);
    return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
    waits++;
    return (int)syscall(SYS_fdatasync, fd);
}

int
renameat(int from, const char *old, int to, const char *new)
{
    snprintf(notes + strlen(notes), sizeof notes - strlen(notes), "renamed to %s\n", new);
    return (int)syscall(SYS_renameat2, from, old, to, new, 0);
}

static void
put_text(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

    assert_true(fd >= 0);
    assert_int_equal(fdio_write_all(fd, text, strlen(text), path, &err), 0);
    close(fd);
}

static bool
is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static int
put_key(struct txn *t, void *arg, struct err *e)
{
    return kv_put(t, A, bytes_str(arg), bytes_str("value"), e);
}

static void
store_key(const char *key)
{
    struct kv *kv = open_kv(NULL);

    assert_int_equal(txn_run(kv, put_key, (void *)key, &err), 0);
    kv_close(kv);
}

static int
find_key(const char *key)
{
    struct kv *kv = open_kv(NULL);
    int rc = kv_get(kv_reads(kv), A, bytes_str(key), NULL, &err);

    kv_close(kv);
    return rc;
}

static void
recover(void)
{
    if (kv_recover("db", defs, COUNT, &err) != 0)
        fail_msg("%s", err.message);
}

static void
test_all_of_a_new_store_is_synced(void **state)
{
    static const char *const files[] = {"\na\n",  "\nb\n",          "\nq\n",
                                        "\nlog.", "\ncheckpoint\n", "\nrenamed to tables\n"};
    const char *begin, *end;

    (void)state;
    assert_int_equal(fdio_remove_tree(AT_FDCWD, "db", &err), 0);
    notes[0] = '\0';
    waits = 0;
    recover();
    begin = strstr(notes, "\ndb\n"); /* the name of the mark; before it, that of db */
    end = strstr(notes, "\ndb\nrenamed to tables\ndb\n");
    assert_non_null(begin);
    assert_null(strstr(notes, "renamed to unfinished"));
    assert_non_null(end);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        const char *at = strstr(begin + strlen("\ndb"), files[i]);

        if (at == NULL || at > end + strlen("\ndb"))
            fail_msg("too late: %s in %s", files[i], notes);
    }
    assert_int_equal(waits, 0);
}

static void
test_a_new_store_has_no_mark(void **state)
{
    (void)state;
    assert_false(is_there(MARK));
    assert_true(is_there("db/tables"));
    assert_true(is_there("db/checkpoint"));
    store_key("key");
    recover();
    assert_int_equal(find_key("key"), 1);
}

/* A power loss can leave some files, with any bytes, and none that names the tables. */
static void
test_an_unfinished_store_is_made_anew(void **state)
{
    (void)state;
    store_key("key");
    assert_int_equal(rename("db/tables", MARK), 0);
    put_text("db/a", "");
    put_text("db/b", "no page of a table");
    put_text("db/log.0000000001", "no log");
    put_text("db/log.0000000007", "another");
    put_text("db/checkpoint", "no note");
    put_text("db/__db.80000001.36268898", "a table without its name");
    put_text("db/__dbq.q.9", "a part of a queue");
    put_text("db/format", "of others");
    recover();
    assert_false(is_there(MARK));
    assert_true(is_there("db/tables"));
    assert_false(is_there("db/log.0000000007"));
    assert_false(is_there("db/__db.80000001.36268898"));
    assert_false(is_there("db/__dbq.q.9"));
    assert_true(is_there("db/format"));
    assert_int_equal(find_key("key"), 0);
    store_key("later");
    recover();
    assert_int_equal(find_key("later"), 1);
}

/* A store that was finished, or put back, stays, whatever lies beside it. */
static void
test_a_finished_store_stays(void **state)
{
    (void)state;
    store_key("key");
    put_text(MARK, "a\nb\nq\n");
    recover();
    assert_false(is_there(MARK));
    assert_int_equal(find_key("key"), 1);

    put_text("db/restored", "");
    assert_int_equal(rename("db/tables", MARK), 0);
    recover();
    assert_int_equal(find_key("key"), 1);
    assert_int_equal(unlink("db/restored"), 0);
}

/* Stores of old versions have no file that names their tables. */
static void
test_a_store_without_a_list_stays(void **state)
{
    (void)state;
    store_key("key");
    assert_int_equal(unlink("db/tables"), 0);
    recover();
    assert_true(is_there("db/tables"));
    assert_int_equal(find_key("key"), 1);
}

/* A directory whose tables or logs are gone is no fresh one. */
static void
test_what_is_lost_is_told(void **state)
{
    (void)state;
    store_key("key");
    assert_int_equal(unlink("db/a"), 0);
    assert_int_equal(kv_recover("db", defs, COUNT, &err), -1);
    assert_non_null(strstr(err.message, "table a is missing"));
    assert_false(is_there(MARK));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_all_of_a_new_store_is_synced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_new_store_has_no_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_an_unfinished_store_is_made_anew, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_finished_store_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_store_without_a_list_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_lost_is_told, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
