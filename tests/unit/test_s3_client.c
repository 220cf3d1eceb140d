/* Run by tests/t/399-s3-client.t with a server that fails as it is told, and with others that only
 * do what S3 does. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/s3/s3_bucket.h"
#include "storage/s3/s3_client.h"
#include "storage/s3/s3_parts.h"
#include "util/clock.h"
#include "util/mem.h"

static struct s3_bucket bucket;
static struct err err;
static const char *run; /* where the server reads how to fail; NULL: it can't */

#define ONLY_WITH_A_SERVER()                    \
    do {                                        \
        if (getenv("REGISTRY_TEST_S3") == NULL) \
            skip();                             \
    } while (0)
#define ONLY_WITH_OUR_SERVER() \
    do {                       \
        if (run == NULL)       \
            skip();            \
    } while (0)

static void
tell_server(const char *fault)
{
    char name[512];
    FILE *f;

    if (run == NULL)
        return;
    snprintf(name, sizeof name, "%s/failed", run);
    unlink(name);
    snprintf(name, sizeof name, "%s/fault", run);
    f = fopen(name, "w");
    assert_non_null(f);
    fputs(fault, f);
    fclose(f);
}

/* The requests that it has failed. */
static int
count_failed(void)
{
    char name[512];
    struct stat st;

    snprintf(name, sizeof name, "%s/failed", run);
    return stat(name, &st) == 0 ? (int)st.st_size : 0;
}

static int
setup(void **state)
{
    const char *url = getenv("REGISTRY_TEST_S3");

    (void)state;
    run = getenv("REGISTRY_TEST_S3_RUN");
    if (url == NULL)
        return 0;
    tell_server("");
    return s3_bucket_parse(&bucket, url, &err) != 0 || s3_bucket_read_keys(&bucket, -1, &err) != 0;
}

/* A file of n bytes that look random, and their hash. */
static int
make_file(size_t n, struct digest *d)
{
    FILE *f = tmpfile();
    uint8_t *bytes = mem_alloc(n);
    uint32_t x = 12345;
    int fd;

    for (size_t i = 0; i < n; i++) {
        x = x * 1664525 + 1013904223;
        bytes[i] = (uint8_t)(x >> 24);
    }
    digest_of(d, DIGEST_SHA256, bytes_of(bytes, n));
    assert_int_equal(fwrite(bytes, 1, n, f), n);
    fflush(f);
    fd = dup(fileno(f));
    fclose(f);
    free(bytes);
    return fd;
}

#define KEY "sha256/ab/object.1"

static int
get(struct digest *got, uint64_t *bytes)
{
    FILE *f = tmpfile();
    int rc;

    *got = (struct digest){.algo = DIGEST_SHA256};
    rc = s3_client_get(&bucket, KEY, fileno(f), UINT64_MAX, 0, bytes, got, &err);
    fclose(f);
    return rc;
}

static void
assert_stored(const struct digest *d, size_t n)
{
    struct digest got;
    uint64_t bytes;

    assert_int_equal(get(&got, &bytes), 1);
    assert_int_equal(bytes, n);
    assert_true(digest_equal(&got, d));
}

static int
remember_object(const struct s3_object *o, int64_t now_s, void *arg, struct err *e)
{
    (void)e;
    *(struct s3_object *)arg = *o;
    return now_s < o->modified_s - 100 || now_s > o->modified_s + 100;
}

static void
objects_are_stored_read_listed_and_removed(void **state)
{
    struct s3_object o;
    struct digest d;
    int fd = make_file(100000, &d);
    struct buf small;

    ONLY_WITH_A_SERVER();
    (void)state;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, 100000, &d, &err), 0);
    assert_stored(&d, 100000);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 1);
    assert_int_equal(o.size, 100000);
    assert_int_equal(s3_client_put_bytes(&bucket, "registry-id", bytes_str("x\n"), &err), 0);
    buf_init(&small, 100);
    assert_int_equal(s3_client_get_bytes(&bucket, "registry-id", &small, &err), 1);
    assert_string_equal(buf_text(&small), "x\n");
    o.key[0] = '\0';
    assert_int_equal(s3_client_list(&bucket, "sha256/ab/", remember_object, &o, &err), 0);
    assert_string_equal(o.key, KEY);
    assert_int_equal(o.size, 100000);
    assert_int_equal(s3_client_copy(&bucket, KEY, "quarantine/object.1", &err), 1);
    assert_int_equal(s3_client_head(&bucket, "quarantine/object.1", &o, &err), 1);
    assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 0);
    assert_int_equal(s3_client_get_bytes(&bucket, KEY, &small, &err), 0);
    assert_int_equal(s3_client_copy(&bucket, KEY, "quarantine/object.2", &err), 0);
    buf_free(&small);
    close(fd);
}

#define LARGE (17u << 20)
#define PART (6u << 20)

static void
a_large_object_is_sent_in_parts(void **state)
{
    struct digest d;
    int fd = make_file(LARGE, &d);

    ONLY_WITH_A_SERVER();
    (void)state;
    bucket.put_max = PART;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &d, &err), 0);
    assert_stored(&d, LARGE);
    assert_int_equal(s3_parts_sweep(&bucket, 24 * 3600, &err), 0);
    assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    close(fd);
}

static void
parts_that_fail_leave_nothing(void **state)
{
    struct digest d, other;
    int fd = make_file(LARGE, &d);
    struct s3_object o;

    ONLY_WITH_A_SERVER();
    (void)state;
    bucket.put_max = PART;
    other = d;
    other.bytes[0] ^= 1;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &other, &err), -1);
    assert_int_equal(err.code, ERR_FAULT);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 0);
    if (run != NULL) {
        tell_server("methods PUT\nstatus 500\n");
        assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &d, &err), -1);
        assert_int_equal(err.code, ERR_BUSY);
        tell_server("methods PUT\nstatus 500\nn 2\n");
        assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &d, &err), 0);
        tell_server("");
        assert_stored(&d, LARGE);
        assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    }
    close(fd);
}

static void
bytes_that_changed_never_become_the_object(void **state)
{
    struct digest d;
    int fd = make_file(5000, &d);
    struct s3_object o;

    ONLY_WITH_A_SERVER();
    (void)state;
    d.bytes[0] ^= 1;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, 5000, &d, &err), -1);
    assert_int_equal(err.code, ERR_FAULT);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 0);
    tell_server("methods PUT\nlax 1\n"); /* a server that believes the header */
    assert_int_equal(s3_client_put(&bucket, KEY, fd, 5000, &d, &err), -1);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 0);
    close(fd);
}

static void
an_answer_that_breaks_off_is_no_success(void **state)
{
    struct digest d;
    int fd = make_file(LARGE, &d);
    struct s3_object o;

    ONLY_WITH_OUR_SERVER();
    (void)state;
    bucket.put_max = PART;
    tell_server("methods POST\nhollow 1\n");
    assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &d, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_non_null(strstr(err.message, "no CompleteMultipartUploadResult"));
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 0);
    tell_server("");
    assert_int_equal(s3_client_put(&bucket, KEY, fd, LARGE, &d, &err), 0);
    tell_server("methods PUT\nhollow 1\n");
    assert_int_equal(s3_client_copy(&bucket, KEY, "quarantine/object.3", &err), -1);
    tell_server("");
    assert_int_equal(s3_client_head(&bucket, "quarantine/object.3", &o, &err), 0);
    assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    close(fd);
}

static void
an_answer_has_an_end(void **state)
{
    struct digest d, got;
    int fd = make_file(5000, &d);
    struct s3_object o;
    uint64_t bytes;

    ONLY_WITH_OUR_SERVER();
    (void)state;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, 5000, &d, &err), 0);
    tell_server("methods GET\nloop 1\n");
    assert_int_equal(s3_client_list(&bucket, "sha256/ab/", remember_object, &o, &err), -1);
    assert_string_equal(err.message, "S3 sends a list without end");
    tell_server("methods GET\nheaders 20\n");
    assert_int_equal(get(&got, &bytes), -1);
    assert_non_null(strstr(err.message, "too many headers"));
    tell_server("");
    assert_stored(&d, 5000);
    assert_int_equal(s3_client_delete(&bucket, KEY, &err), 0);
    close(fd);
}

static void
what_may_pass_is_tried_again(void **state)
{
    struct digest d, got;
    int fd = make_file(50000, &d);
    uint64_t bytes;

    ONLY_WITH_OUR_SERVER();
    (void)state;
    assert_int_equal(s3_client_put(&bucket, KEY, fd, 50000, &d, &err), 0);
    tell_server("methods GET\ntruncate 1\nn 2\n");
    assert_stored(&d, 50000);
    tell_server("methods GET\ntruncate 1\n");
    assert_int_equal(get(&got, &bytes), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(count_failed(), 3);
    tell_server("methods GET\ndrop 1\nn 1\n");
    assert_stored(&d, 50000);
    tell_server("methods GET\nstatus 503\nn 2\n");
    assert_stored(&d, 50000);
    tell_server("methods GET\nstatus 403\n");
    assert_int_equal(get(&got, &bytes), -1);
    assert_int_equal(err.code, ERR_FAULT);
    assert_int_equal(count_failed(), 1);
    tell_server("methods GET\nwrong 1\n");
    assert_int_equal(get(&got, &bytes), 1);
    assert_false(digest_equal(&got, &d));
    close(fd);
}

static void
a_missing_bucket_is_no_missing_object(void **state)
{
    struct buf out;

    ONLY_WITH_OUR_SERVER();
    (void)state;
    snprintf(bucket.path, sizeof bucket.path, "/nothing/");
    buf_init(&out, 100);
    assert_int_equal(s3_client_get_bytes(&bucket, KEY, &out, &err), -1);
    assert_non_null(strstr(err.message, "(NoSuchBucket): make it first"));
    buf_free(&out);
}

static void
a_hurried_process_soon_gives_up_and_rests(void **state)
{
    struct s3_object o;
    uint64_t began;

    ONLY_WITH_OUR_SERVER();
    (void)state;
    bucket.hurried = true;
    tell_server("methods HEAD\nslow 60\n");
    began = clock_mono_ms();
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_true(clock_mono_ms() - began < 50000); /* not the time that the server takes */
    assert_int_equal(count_failed(), 1);
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), -1);
    assert_int_equal(err.code, ERR_BUSY);
    assert_int_equal(count_failed(), 1); /* it was not asked */
    tell_server("");
    bucket.rest_until = 0;
    assert_int_equal(s3_client_head(&bucket, KEY, &o, &err), 1);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup(f, setup)
    const struct CMUnitTest tests[] = {
        TEST(objects_are_stored_read_listed_and_removed),
        TEST(a_large_object_is_sent_in_parts),
        TEST(parts_that_fail_leave_nothing),
        TEST(bytes_that_changed_never_become_the_object),
        TEST(an_answer_that_breaks_off_is_no_success),
        TEST(an_answer_has_an_end),
        TEST(what_may_pass_is_tried_again),
        TEST(a_missing_bucket_is_no_missing_object),
        TEST(a_hurried_process_soon_gives_up_and_rests),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
