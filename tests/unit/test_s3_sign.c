#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include "storage/s3/s3_bucket.h"
#include "storage/s3/s3_sign.h"
#include "storage/s3/s3_xml.h"
#include "util/fdio.h"

/* The examples of Amazon's "Signature Calculations for the Authorization Header" and
 * "Authenticating Requests: Using Query Parameters". */
#define MAY_24_2013 UINT64_C(1369353600)

static struct s3_bucket
example(void)
{
    return (struct s3_bucket){.host = "examplebucket.s3.amazonaws.com",
                              .region = "us-east-1",
                              .access_key = "AKIAIOSFODNN7EXAMPLE",
                              .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};
}

static void
a_list_is_signed_as_in_amazons_example(void **state)
{
    const struct s3_request r = {.method = "GET",
                                 .path = "/",
                                 .query = "max-keys=2&prefix=J",
                                 .sha256 = S3_EMPTY_SHA256,
                                 .time_s = MAY_24_2013};
    struct s3_bucket b = example();
    struct buf out;
    struct err err;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(s3_sign_headers(&b, &r, &out, &err), 0);
    assert_string_equal(
        buf_text(&out),
        "Authorization: AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/"
        "aws4_request,SignedHeaders=host;x-amz-content-sha256;x-amz-date,"
        "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
    assert_string_equal(buf_text(&out) + strlen(buf_text(&out)) + 1,
                        "x-amz-date: 20130524T000000Z");
    buf_free(&out);
}

static void
a_url_is_signed_as_in_amazons_example(void **state)
{
    struct s3_bucket b = example();
    struct buf out;
    struct err err;

    (void)state;
    buf_init(&out, 4096);
    assert_int_equal(s3_sign_query(&b, "/test.txt", MAY_24_2013, 86400, &out, &err), 0);
    assert_string_equal(
        buf_text(&out),
        "X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F"
        "us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&"
        "X-Amz-SignedHeaders=host&X-Amz-Signature="
        "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404");
    buf_free(&out);
}

static void
a_bucket_is_named_by_its_parts(void **state)
{
    struct s3_bucket b;
    struct err err;

    (void)state;
    assert_int_equal(s3_bucket_parse(&b, "s3://layers", &err), 0);
    assert_true(b.tls);
    assert_string_equal(b.host, "s3.us-east-1.amazonaws.com");
    assert_string_equal(b.path, "/layers/");
    assert_int_equal(
        s3_bucket_parse(&b, "s3://layers/a/b/?endpoint=http://127.0.0.1:8333/&region=eu-1", &err),
        0);
    assert_false(b.tls);
    assert_string_equal(b.host, "127.0.0.1:8333");
    assert_string_equal(b.path, "/layers/a/b/");
    assert_string_equal(b.region, "eu-1");
}

static void
other_texts_are_refused(void **state)
{
    static const char *const wrong[] = {
        "s3://",
        "s3:///x",
        "s3://a b",
        "s3://a/b//c",
        "s3://a//b",
        "s3://a/../b",
        "s3://..",
        "s3://.a",
        "s3://a/./b",
        "s3://a?endpoint=127.0.0.1",
        "s3://a?endpoint=ftp://x",
        "s3://a?endpoint=http://",
        "s3://a?endpoint=http://x/y",
        "s3://a?endpoint=http://u:p@x",
        "s3://a?region=",
        "s3://a?secret-key=x",
        "s3://a?region=x;y",
    };
    struct s3_bucket b;
    struct err err;

    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        if (s3_bucket_parse(&b, wrong[i], &err) != -1 || err.code != ERR_BAD_REQUEST)
            fail_msg("taken: %s", wrong[i]);
}

static void
write_keys(int root, const char *text)
{
    struct err err;

    assert_int_equal(fdio_replace_file(root, S3_KEYS_NAME, 0600, bytes_str(text), &err), 0);
}

static void
keys_come_from_the_environment_or_the_file(void **state)
{
    struct s3_bucket b = {.root = -1}, c = {.root = -1};
    char dir[] = "/tmp/test_s3_sign.XXXXXX";
    int root;
    struct err err;

    (void)state;
    unsetenv("AWS_ACCESS_KEY_ID");
    unsetenv("AWS_SECRET_ACCESS_KEY");
    assert_non_null(mkdtemp(dir));
    root = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(root, "auth", 0700), 0);
    assert_int_equal(s3_bucket_read_keys(&b, root, &err), -1);
    write_keys(root, "access-key = A\n");
    assert_int_equal(s3_bucket_read_keys(&b, root, &err), -1);
    write_keys(root, "key = A\n");
    assert_int_equal(s3_bucket_read_keys(&b, root, &err), -1);
    write_keys(root, "access-key = A\nsecret-key = B/+=\n");
    assert_int_equal(s3_bucket_read_keys(&b, root, &err), 0);
    assert_string_equal(b.access_key, "A");
    assert_string_equal(b.secret_key, "B/+=");
    write_keys(root, "access-key = A2\nsecret-key = B2\n");
    s3_bucket_look_at_keys(&b);
    assert_string_equal(b.secret_key, "B2");
    write_keys(root, "access-key = A3\n");
    s3_bucket_look_at_keys(&b);
    assert_string_equal(b.access_key, "A2");
    setenv("AWS_ACCESS_KEY_ID", "C", 1);
    setenv("AWS_SECRET_ACCESS_KEY", "D", 1);
    assert_int_equal(s3_bucket_read_keys(&c, root, &err), 0);
    assert_string_equal(c.access_key, "C");
    assert_string_equal(c.secret_key, "D");
    assert_int_equal(c.root, -1);
    assert_int_equal(fdio_remove_tree(AT_FDCWD, dir, &err), 0);
    close(root);
}

static void
answers_are_read_by_their_elements(void **state)
{
    static const char text[] = "<?xml version=\"1.0\"?><L xmlns=\"x\"><C><Key>a&amp;b</Key></C>"
                               "<C><Key>c</Key></C><C><Key>d</L>";
    struct bytes rest = bytes_str(text), one;
    struct buf key;

    (void)state;
    buf_init(&key, 100);
    one = s3_xml_next(&rest, "C");
    assert_true(s3_xml_is(one, "Key", "a&amp;b"));
    assert_true(s3_xml_decode(&key, s3_xml_text(one, "Key")));
    assert_string_equal(buf_text(&key), "a&b");
    one = s3_xml_next(&rest, "C");
    assert_true(s3_xml_is(one, "Key", "c"));
    assert_null(s3_xml_next(&rest, "C").p);
    assert_int_equal(s3_xml_text(bytes_str(text), "Nothing").n, 0);
    assert_false(s3_xml_decode(&key, bytes_str("&#38;")));
    buf_reset(&key);
    s3_xml_encode(&key, "\"a<b>&'");
    assert_string_equal(buf_text(&key), "&quot;a&lt;b&gt;&amp;&apos;");
    buf_free(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_is_signed_as_in_amazons_example),
        cmocka_unit_test(a_url_is_signed_as_in_amazons_example),
        cmocka_unit_test(a_bucket_is_named_by_its_parts),
        cmocka_unit_test(other_texts_are_refused),
        cmocka_unit_test(answers_are_read_by_their_elements),
        cmocka_unit_test(keys_come_from_the_environment_or_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
