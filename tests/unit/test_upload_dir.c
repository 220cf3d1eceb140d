#include "store_fixture.h"
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include "storage/files/upload_dir.h"
#include "util/clock.h"
#include "util/fdio.h"

#define ID "0123456789abcdef0123456789abcdef"

static struct upload_dir
open_dir(struct fixture *f)
{
    struct upload_dir u;

    OK(f, upload_dir_open(f->reg.dirfd, ID, &u, &f->err));
    return u;
}

static int
append(struct fixture *f, struct upload_dir *u, const char *text, uint64_t *total)
{
    return upload_dir_append(u, fixture_body(f, bytes_str(text)), strlen(text), total, &f->err);
}

static void
expect_data(struct fixture *f, const char *text)
{
    struct buf b = fixture_read(f, "uploads/" ID);
    uint64_t size;

    assert_string_equal(buf_text(&b), text);
    buf_free(&b);
    OK(f, upload_dir_size(f->reg.dirfd, ID, &size, &f->err));
    assert_int_equal(size, strlen(text));
}

static void
the_pieces_of_an_upload_are_put_together(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u;
    uint64_t total = 99;
    char text[8];

    OK(f, upload_dir_size(f->reg.dirfd, ID, &total, &f->err));
    assert_int_equal(total, 0);
    u = open_dir(f);
    OK(f, append(f, &u, "one", &total));
    assert_int_equal(total, 3);
    OK(f, append(f, &u, "two", &total));
    assert_int_equal(total, 6);
    OK(f, append(f, &u, "3", &total));
    expect_data(f, "onetwo3");

    int fd = upload_dir_data(&u, &f->err);
    assert_int_equal(read(fd, text, sizeof text), 7);
    fdio_close(fd);
    upload_dir_close(&u);
    OK(f, upload_dir_remove(f->reg.dirfd, ID, &f->err));
    assert_int_equal(access("uploads/" ID, F_OK), -1);
    OK(f, upload_dir_remove(f->reg.dirfd, ID, &f->err));
}

static void
the_first_piece_is_taken_over_without_a_copy(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    const char *body = fixture_body(f, bytes_str("first"));
    struct stat was, is;
    uint64_t total;

    assert_int_equal(stat(body, &was), 0);
    OK(f, upload_dir_append(&u, body, 5, &total, &f->err));
    assert_int_equal(stat("uploads/" ID, &is), 0);
    assert_int_equal(is.st_ino, was.st_ino);
    assert_int_equal(unlink(body), 0); /* nginx removes its name */
    expect_data(f, "first");
    upload_dir_close(&u);
}

static void
an_upload_without_a_byte_has_an_empty_file(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    int fd = upload_dir_data(&u, &f->err);

    assert_true(fd >= 0);
    fdio_close(fd);
    expect_data(f, "");
    upload_dir_close(&u);
}

static void
the_time_of_the_last_change_can_be_set(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    uint64_t total, changed;

    OK(f, upload_dir_changed(f->reg.dirfd, ID, &changed, &f->err));
    assert_int_equal(changed, 0);
    OK(f, upload_dir_set_changed(&u, 1500000000007, &f->err));
    OK(f, upload_dir_changed(f->reg.dirfd, ID, &changed, &f->err));
    assert_int_equal(changed, 1500000000007);
    expect_data(f, "");
    /* The first piece takes the place of the empty file. */
    OK(f, append(f, &u, "first", &total));
    assert_int_equal(total, 5);
    expect_data(f, "first");
    OK(f, upload_dir_changed(f->reg.dirfd, ID, &changed, &f->err));
    assert_true(changed + 60000 > clock_wall_ms());
    OK(f, upload_dir_set_changed(&u, 1500000000007, &f->err));
    OK(f, append(f, &u, "second", &total));
    expect_data(f, "firstsecond");
    OK(f, upload_dir_changed(f->reg.dirfd, ID, &changed, &f->err));
    assert_true(changed + 60000 > clock_wall_ms());
    /* The file of a blob keeps its time. */
    assert_int_equal(link("uploads/" ID, "blob"), 0);
    assert_int_equal(chmod("blob", 0440), 0);
    OK(f, upload_dir_set_changed(&u, 1500000000007, &f->err));
    OK(f, upload_dir_changed(f->reg.dirfd, ID, &changed, &f->err));
    assert_true(changed + 60000 > clock_wall_ms());
    assert_int_equal(unlink("blob"), 0);
    upload_dir_close(&u);
}

/* ---- what nginx names, and what it doesn't ---- */

static int
append_name(struct fixture *f, struct upload_dir *u, const char *name, uint64_t size)
{
    uint64_t total;

    return upload_dir_append(u, name, size, &total, &f->err);
}

static void
only_what_follows_the_body_directory_is_believed(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);

    fixture_body(f, bytes_str("a"));
    OK(f, append_name(f, &u, "/somewhere/else/uploads/body/0/00/0000000001", 1));
    fixture_body(f, bytes_str("b"));
    OK(f, append_name(f, &u, "uploads/body/0/00/0000000002", 1));
    fixture_body(f, bytes_str("c"));
    OK(f, append_name(f, &u, "/srv/uploads/body/registry/uploads/body/0/00/0000000003", 1));
    fixture_body(f, bytes_str("d"));
    assert_int_equal(rename("uploads/body/0/00/0000000004", "uploads/body/0000000004"), 0);
    OK(f, append_name(f, &u, "uploads/body/./0000000004", 1)); /* of an upload */
    expect_data(f, "abcd");
    upload_dir_close(&u);
}

static void
a_name_outside_of_the_body_directory_is_refused(void **state)
{
    static const char *const names[] = {
        "",
        "/etc/passwd",
        "uploads/body/",
        "uploads/body",
        "uploads/body/../secret",
        "uploads/body/0/../../1",
        "uploads/body/0/00/../00/0000000001",
        "uploads/body/0/00/./0000000001",
        "uploads/body/././0000000001",
        "uploads/body/./",
        "uploads/body/./../secret",
        "uploads/body//0/00/0000000001",
        "uploads/body/0//00/0000000001",
        "uploads/body//etc/passwd",
        "uploads/body/0/00/",
        "uploads/body/x",
        "uploads/body/0/00/0000000001 ",
        "uploads/body/0/00/0000000001\n",
        "uploads/bodies/0/00/0000000001",
        "uploads/" ID,
    };
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);

    fixture_body(f, bytes_str("a"));
    assert_int_equal(mkdir("uploads/1", 0700), 0);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        REFUSED(f, append_name(f, &u, names[i], 1), ERR_SYSTEM);
    assert_int_equal(access("uploads/" ID, F_OK), -1);
    upload_dir_close(&u);
}

static void
a_body_that_is_a_link_or_has_another_name_is_refused(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    const char *body = fixture_body(f, bytes_str("a"));

    assert_int_equal(link(body, "elsewhere"), 0);
    REFUSED(f, append_name(f, &u, body, 1), ERR_SYSTEM);
    assert_int_equal(unlink(body), 0);
    assert_int_equal(symlink("../../../../elsewhere", body), 0);
    REFUSED(f, append_name(f, &u, body, 1), ERR_SYSTEM);
    assert_int_equal(unlink(body), 0);
    assert_int_equal(mkdir(body, 0700), 0);
    REFUSED(f, append_name(f, &u, body, 4096), ERR_SYSTEM);
    assert_int_equal(access("uploads/" ID, F_OK), -1);
    upload_dir_close(&u);
}

static void
a_body_of_another_user_is_refused(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u;
    const char *body;

    if (geteuid() != 0)
        skip(); /* only root can make such a file */
    u = open_dir(f);
    body = fixture_body(f, bytes_str("a"));
    assert_int_equal(chown(body, 65534, 65534), 0);
    REFUSED(f, append_name(f, &u, body, 1), ERR_SYSTEM);
    upload_dir_close(&u);
}

static void
a_body_of_another_size_is_refused(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);

    REFUSED(f, append_name(f, &u, fixture_body(f, bytes_str("abc")), 2), ERR_BAD_SIZE);
    REFUSED(f, append_name(f, &u, fixture_body(f, bytes_str("abc")), 4), ERR_BAD_SIZE);
    assert_int_equal(access("uploads/" ID, F_OK), -1);
    upload_dir_close(&u);
}

static void
a_body_that_went_with_its_client_is_no_fault_of_ours(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);

    REFUSED(f, append_name(f, &u, "uploads/body/0/00/0000000009", 1), ERR_BUSY);
    upload_dir_close(&u);
}

/* ---- what an upload refuses ---- */

static void
nothing_is_appended_to_a_sealed_file(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    uint64_t total;

    OK(f, append(f, &u, "blob", &total));
    assert_int_equal(chmod("uploads/" ID, 0440), 0);
    REFUSED(f, append(f, &u, "more", &total), ERR_BAD_RANGE);
    expect_data(f, "blob");
    int fd = upload_dir_data(&u, &f->err); /* but it can be published again */
    assert_true(fd >= 0);
    fdio_close(fd);
    upload_dir_close(&u);
}

static void
an_append_that_fails_half_way_is_cut_back(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f);
    struct rlimit old, low;
    char *large = fixture_bytes(300000, 1);
    uint64_t total = 4;
    const char *body;

    OK(f, append(f, &u, "good", &total));
    body = fixture_body(f, bytes_of(large, 300000));
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    low = old;
    low.rlim_cur = 100000;
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &low), 0);
    assert_int_equal(upload_dir_append(&u, body, 300000, &total, &f->err), -1);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(f->err.sys, EFBIG);
    assert_int_equal(total, 4);
    expect_data(f, "good");
    OK(f, append(f, &u, " again", &total));
    expect_data(f, "good again");
    upload_dir_close(&u);
    free(large);
}

/* ---- requests to one upload wait for each other ---- */

#define WRITERS 4
#define ROUNDS 25

/* In a child: nothing here may return into the tests. */
static void
write_rounds(struct fixture *f, int writer)
{
    struct upload_dir u;
    uint64_t before, total;
    char name[64];
    int rc = 0;

    alarm(30);
    for (int i = 0; i < ROUNDS && rc == 0; i++) {
        snprintf(name, sizeof name, "uploads/body/0/00/%d%04d", writer, i);
        int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        rc = fdio_write_all(fd, "0123456789", 10, name, &f->err);
        fdio_close(fd);
        if (rc != 0 || upload_dir_open(f->reg.dirfd, ID, &u, &f->err) != 0 ||
            upload_dir_size(f->reg.dirfd, ID, &before, &f->err) != 0 ||
            upload_dir_append(&u, name, 10, &total, &f->err) != 0 || total != before + 10)
            rc = -1;
        upload_dir_close(&u);
        unlink(name);
    }
    if (rc != 0)
        fprintf(stderr, "writer %d: %s\n", writer, f->err.message);
    _exit(rc == 0 ? 0 : 1);
}

static void
concurrent_pieces_are_all_there(void **state)
{
    struct fixture *f = *state;
    pid_t writers[WRITERS];
    struct buf b;
    int status;

    for (int i = 0; i < WRITERS; i++) {
        writers[i] = fork();
        assert_true(writers[i] >= 0);
        if (writers[i] == 0)
            write_rounds(f, i + 1);
    }
    for (int i = 0; i < WRITERS; i++) {
        assert_int_equal(waitpid(writers[i], &status, 0), writers[i]);
        assert_int_equal(status, 0);
    }
    b = fixture_read(f, "uploads/" ID);
    assert_int_equal(b.n, WRITERS * ROUNDS * 10);
    for (size_t i = 0; i < b.n; i++)
        assert_int_equal(b.p[i], '0' + (int)(i % 10));
    buf_free(&b);
}

/* A process that waited for an upload that was removed meanwhile gets its lock, and begins it anew.
 */
static void
who_waited_has_the_upload_alone(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u = open_dir(f), other;
    int ready[2], status;
    uint64_t total;
    pid_t waiter;
    char c;

    OK(f, append(f, &u, "old", &total));
    OK(f, upload_dir_open(f->reg.dirfd, "fedcba9876543210fedcba9876543210", &other, &f->err));
    upload_dir_close(&other); /* another upload isn't locked */
    assert_int_equal(pipe(ready), 0);
    waiter = fork();
    assert_true(waiter >= 0);
    if (waiter == 0) {
        alarm(30);
        /* the fork's copy of the descriptor holds the lock too */
        upload_dir_close(&u);
        if (write(ready[1], "x", 1) != 1 || upload_dir_open(f->reg.dirfd, ID, &u, &f->err) != 0 ||
            append(f, &u, "new", &total) != 0)
            _exit(1);
        _exit(total == 3 ? 0 : 2);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    clock_sleep_ms(30); /* that it waits already makes the test sharper, not right */
    assert_int_equal(waitpid(waiter, &status, WNOHANG), 0);
    OK(f, upload_dir_remove(f->reg.dirfd, ID, &f->err));
    upload_dir_close(&u);
    assert_int_equal(waitpid(waiter, &status, 0), waiter);
    assert_int_equal(status, 0);
    expect_data(f, "new");
    u = open_dir(f); /* and a process that ended holds no lock */
    upload_dir_close(&u);
    fdio_close(ready[0]);
    fdio_close(ready[1]);
}

/* ---- earlier programs ---- */

static void
make_file(const char *name, const char *text)
{
    int fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    fdio_close(fd);
}

static void
a_directory_of_an_earlier_program_becomes_a_file(void **state)
{
    struct fixture *f = *state;
    struct upload_dir u;
    uint64_t total;

    assert_int_equal(mkdir("uploads/" ID, 0700), 0);
    make_file("uploads/" ID "/data", "one");
    assert_int_equal(mkdir("uploads/11111111111111111111111111111111", 0700), 0); /* no byte yet */
    make_file("uploads/22222222222222222222222222222222.old", "half done");
    assert_int_equal(mkdir("uploads/22222222222222222222222222222222", 0700), 0);
    make_file("uploads/33333333333333333333333333333333", "a file");
    assert_int_equal(mkdir("uploads/lost+found", 0700), 0);
    for (int i = 0; i < 2; i++) {
        struct buf b;

        OK(f, upload_dir_prepare(f->reg.dirfd, &f->err));
        expect_data(f, "one");
        b = fixture_read(f, "uploads/22222222222222222222222222222222");
        assert_string_equal(buf_text(&b), "half done");
        buf_free(&b);
        b = fixture_read(f, "uploads/33333333333333333333333333333333");
        assert_string_equal(buf_text(&b), "a file");
        buf_free(&b);
        assert_int_equal(fixture_entries(f, "uploads"), 5); /* body, lost+found */
    }
    u = open_dir(f);
    OK(f, append(f, &u, "two", &total));
    upload_dir_close(&u);
    expect_data(f, "onetwo");
}

/* ---- sweeping ---- */

struct visits {
    int n;
    char id[64];
    uint64_t changed;
    int rc;
};

static int
visit(const char *id, uint64_t changed, void *arg, struct err *err)
{
    struct visits *v = arg;

    v->n++;
    snprintf(v->id, sizeof v->id, "%s", id);
    v->changed = changed;
    return v->rc < 0 ? err_set(err, ERR_DENIED, "enough") : v->rc;
}

static void
every_upload_is_visited_with_the_time_of_its_last_byte(void **state)
{
    struct fixture *f = *state;
    struct timespec then[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1500000000, .tv_nsec = 7000000}};
    struct visits v = {.n = 0};
    struct upload_dir u;
    uint64_t total;

    OK(f, upload_dir_each(f->reg.dirfd, visit, &v, &f->err));
    assert_int_equal(v.n, 0); /* body/ is none */
    u = open_dir(f);
    OK(f, append(f, &u, "x", &total));
    OK(f, upload_dir_each(f->reg.dirfd, visit, &v, &f->err));
    assert_int_equal(v.n, 1);
    assert_string_equal(v.id, ID);
    assert_true(v.changed + 60000 > clock_wall_ms());
    upload_dir_close(&u);
    assert_int_equal(utimensat(AT_FDCWD, "uploads/" ID, then, 0), 0);
    OK(f, upload_dir_each(f->reg.dirfd, visit, &v, &f->err));
    assert_int_equal(v.changed, 1500000000007);

    assert_int_equal(mkdir("uploads/another", 0700), 0);
    v = (struct visits){.rc = 1};
    OK(f, upload_dir_each(f->reg.dirfd, visit, &v, &f->err));
    assert_int_equal(v.n, 1);
    v.rc = -1;
    REFUSED(f, upload_dir_each(f->reg.dirfd, visit, &v, &f->err), ERR_DENIED);
}

static void
bodies_that_nobody_has_open_are_swept(void **state)
{
    struct fixture *f = *state;
    char open_body[200], taken_body[200];
    struct upload_dir u = open_dir(f);
    int ready[2], done[2], status;
    uint64_t total;
    size_t n;
    pid_t nginx;
    char c;

    snprintf(open_body, sizeof open_body, "%s", fixture_body(f, bytes_str("coming")));
    fixture_body(f, bytes_str("left behind"));
    snprintf(taken_body, sizeof taken_body, "%s", fixture_body(f, bytes_str("taken over")));
    OK(f, upload_dir_append(&u, taken_body, 10, &total, &f->err));
    upload_dir_close(&u);

    assert_int_equal(pipe(ready), 0);
    assert_int_equal(pipe(done), 0);
    nginx = fork();
    assert_true(nginx >= 0);
    if (nginx == 0) {
        alarm(30);
        close(done[1]);
        if (open(open_body, O_RDWR | O_CLOEXEC) < 0 || write(ready[1], "x", 1) != 1)
            _exit(1);
        _exit(read(done[0], &c, 1) == 0 ? 0 : 1); /* until the other end is closed */
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    OK(f, upload_dir_sweep_bodies(f->reg.dirfd, &n, &f->err));
    assert_int_equal(n, 3);
    assert_int_equal(access(open_body, F_OK), 0);
    assert_int_equal(fixture_entries(f, "uploads/body/0/00"), 1);
    assert_int_equal(fixture_entries(f, "uploads/body/0"), 1); /* nginx's directories stay */
    expect_data(f, "taken over");

    close(done[1]);
    assert_int_equal(waitpid(nginx, &status, 0), nginx);
    assert_int_equal(status, 0);
    OK(f, upload_dir_sweep_bodies(f->reg.dirfd, &n, &f->err));
    assert_int_equal(fixture_entries(f, "uploads/body/0/00"), 0);
    fdio_close(ready[0]);
    fdio_close(ready[1]);
    fdio_close(done[0]);
}

static void
what_is_no_directory_of_nginx_stops_no_sweep(void **state)
{
    struct fixture *f = *state;
    size_t n;

    fixture_body(f, bytes_str("left behind"));
    fdio_close(open("uploads/body/README", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    fdio_close(open("uploads/body/0000000001", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    assert_int_equal(symlink("/etc", "uploads/body/1"), 0);
    fdio_close(open("uploads/body/0/note", O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    OK(f, upload_dir_sweep_bodies(f->reg.dirfd, &n, &f->err));
    assert_int_equal(fixture_entries(f, "uploads/body/0/00"), 0);
    assert_int_equal(fixture_entries(f, "uploads/body"), 3);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_files, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(the_pieces_of_an_upload_are_put_together),
        TEST(the_first_piece_is_taken_over_without_a_copy),
        TEST(an_upload_without_a_byte_has_an_empty_file),
        TEST(the_time_of_the_last_change_can_be_set),
        TEST(only_what_follows_the_body_directory_is_believed),
        TEST(a_name_outside_of_the_body_directory_is_refused),
        TEST(a_body_that_is_a_link_or_has_another_name_is_refused),
        TEST(a_body_of_another_user_is_refused),
        TEST(a_body_of_another_size_is_refused),
        TEST(a_body_that_went_with_its_client_is_no_fault_of_ours),
        TEST(nothing_is_appended_to_a_sealed_file),
        TEST(an_append_that_fails_half_way_is_cut_back),
        TEST(concurrent_pieces_are_all_there),
        TEST(who_waited_has_the_upload_alone),
        TEST(a_directory_of_an_earlier_program_becomes_a_file),
        TEST(every_upload_is_visited_with_the_time_of_its_last_byte),
        TEST(bodies_that_nobody_has_open_are_swept),
        TEST(what_is_no_directory_of_nginx_stops_no_sweep),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
