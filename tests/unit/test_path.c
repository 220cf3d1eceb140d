#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>
#include "protocol/http/path.h"
#include "util/buf.h"

static struct arena arena;
static struct path path;
static struct err err;

static int
setup(void **state)
{
    (void)state;
    arena_init(&arena, 1u << 20);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    arena_reset(&arena);
    return 0;
}

/* The segments with | round each. */
static void
expect(const char *raw, const char *nginx, const char *want)
{
    struct buf b;

    if (path_parse(&path, raw, nginx, &arena, &err) != 0)
        fail_msg("%s: %s", raw, err.message);
    buf_init(&b, 10000);
    buf_putc(&b, '|');
    for (size_t i = 0; i < path.n; i++)
        buf_putf(&b, "%s|", path.segments[i]);
    assert_string_equal(buf_text(&b), want);
    buf_free(&b);
}

static void
refuse(const char *raw, const char *nginx, const char *says)
{
    if (path_parse(&path, raw, nginx, &arena, &err) != -1)
        fail_msg("%s was accepted", raw);
    assert_int_equal(err.code, ERR_BAD_REQUEST);
    if (strstr(err.message, says) == NULL)
        fail_msg("%s: %s", raw, err.message);
}

static void
paths_are_split_and_decoded_once(void **state)
{
    (void)state;
    expect("/", "/", "||");
    expect("/v2/", "/v2/", "|v2||");
    expect("/v2", "/v2", "|v2|");
    expect("/v2/a/b/tags/list", "/v2/a/b/tags/list", "|v2|a|b|tags|list|");
    expect("/v2/a/blobs/sha256%3Aab", "/v2/a/blobs/sha256:ab", "|v2|a|blobs|sha256:ab|");
    expect("/%76%32/%61", "/v2/a", "|v2|a|");
    expect("/a%2525", "/a%25", "|a%25|"); /* and not twice */
    expect("/a+b%20c", "/a+b c", "|a+b c|");
    expect("/%c3%a4/%C3%A4", "/\xc3\xa4/\xc3\xa4", "|\xc3\xa4|\xc3\xa4|");
    expect("/.../..a/a..", "/.../..a/a..", "|...|..a|a..|");
}

static void
what_could_be_read_in_two_ways_is_refused(void **state)
{
    (void)state;
    refuse("", "/", "slash");
    refuse("v2/", "/v2/", "slash");
    refuse("/v2", "v2", "slash");
    refuse("//v2/", "//v2/", "empty");
    refuse("/v2//a", "/v2//a", "empty");
    refuse("/v2//", "/v2/", "empty");
    refuse("/v2/./a", "/v2/./a", "segment");
    refuse("/v2/../a", "/v2/../a", "segment");
    refuse("/v2/..", "/v2/..", "segment");
    refuse("/v2/%2e%2e/a", "/v2/../a", "segment");
    refuse("/v2/%2E/a", "/v2/./a", "segment");
    refuse("/v2/a%2fb", "/v2/a/b", "segment");
    refuse("/v2/a%2Fb", "/v2/a/b", "segment");
    refuse("/v2/a%5cb", "/v2/a\\b", "segment");
    refuse("/v2/a\\b", "/v2/a\\b", "segment");
    refuse("/v2/a%00b", "/v2/a", "segment");
    refuse("/v2/a%0a", "/v2/a\n", "segment");
    refuse("/v2/a%1f", "/v2/a\x1f", "segment");
    refuse("/v2/a%7f", "/v2/a\x7f", "segment");
}

/* Behind the segments, what is inside of an image. */
static void
expect_inside(const char *raw, const char *nginx, size_t segments, const char *rest)
{
    if (path_parse(&path, raw, nginx, &arena, &err) != 0)
        fail_msg("%s: %s", raw, err.message);
    if (!path.inside)
        fail_msg("%s doesn't lead inside", raw);
    assert_int_equal(path.n, segments);
    if (!bytes_equal(path.rest, bytes_str(rest)))
        fail_msg("%s: %.*s", raw, (int)path.rest.n, (const char *)path.rest.p);
}

static void
what_is_inside_of_an_image_may_be_anything(void **state)
{
#define I "/v2/a/b/_image/v1"
    (void)state;
    expect_inside(I "/tree", I "/tree", 6, "");
    expect_inside(I "/tree/", I "/tree/", 6, "/");
    expect_inside(I "/tree/etc/x", I "/tree/etc/x", 6, "/etc/x");
    expect_inside(I "/tree/a//b/./c/../d/", I "/tree/a/b/d/", 6, "/a//b/./c/../d/");
    expect_inside(I "/tree/etc%2fx", I "/tree/etc/x", 6, "/etc/x");
    expect_inside(I "/tree/x/../../tree/y", I "/tree/y", 6, "/x/../../tree/y"); /* the root's .. */
    expect_inside(I "/blobs/%ff%0a%5c%7f%20%2525", I "/blobs/\xff\n\\\x7f %25", 6,
                  "/\xff\n\\\x7f %25");
    expect_inside(I "/stat/_image/x/tree/y", I "/stat/_image/x/tree/y", 6, "/_image/x/tree/y");
    expect_inside(I "/archive/...", I "/archive/...", 6, "/...");
    expect_inside(I "/layers/0/tree/tree", I "/layers/0/tree/tree", 8, "/tree");
    expect_inside("/v2/a/%5fimage/v1/%74ree/x", "/v2/a/_image/v1/tree/x", 5, "/x");
    expect_inside("/v1/images/ab/tree/tree", "/v1/images/ab/tree/tree", 4, "/tree");
    expect_inside("/v1/images/ab/blobs/json", "/v1/images/ab/blobs/json", 4, "/json");
    expect(I "/history", I "/history", "|v2|a|b|_image|v1|history|");
    assert_false(path.inside);
    expect("/v1/images/ab/json", "/v1/images/ab/json", "|v1|images|ab|json|");
    assert_false(path.inside);
    expect("/v1/images/ab/stat/x", "/v1/images/ab/stat/x", "|v1|images|ab|stat|x|");
    assert_false(path.inside);
    expect("/v2/a/tree/x", "/v2/a/tree/x", "|v2|a|tree|x|");
    assert_false(path.inside);
}

/* The part before it chooses the location, the handler and the rights. */
static void
nothing_inside_of_an_image_changes_what_is_before(void **state)
{
    (void)state;
    refuse(I "/tree/../blobs/x", I "/blobs/x", "ambiguous");
    refuse(I "/tree/%2e%2e/blobs/x", I "/blobs/x", "ambiguous");
    refuse(I "/tree/..", "/v2/a/b/_image/v1/", "ambiguous");
    refuse(I "/tree/../tree", I "/tree", "ambiguous");
    refuse(I "/tree/../../../manifests/x", "/v2/a/b/manifests/x", "ambiguous");
    refuse(I "/tree%2f../x", I "/x", "segment");
    refuse(I "//tree/x", I "/tree/x", "empty");
    refuse(I "/./tree/x", I "/tree/x", "segment");
    refuse(I "/x/../tree/x", I "/tree/x", "ambiguous");
    refuse("/v2/c/../a/b/_image/v1/tree/x", I "/tree/x", "ambiguous");
    refuse("/v2/a%2fb/_image/v1/tree/x", I "/tree/x", "segment");
    refuse("/v2/a/b/_image/%2e%2e/tree/x", "/v2/a/b/tree/x", "ambiguous");
    refuse("/v2//a/b/_image/v1/tree/x", I "/tree/x", "empty");
    refuse(I "/tree/x", I "/treex", "ambiguous");
    refuse(I "/tree/x", I "/tree", "ambiguous");
    refuse(I "/tree", I "/tree/", "ambiguous");
    refuse(I "/tree/a%00b", I "/tree/a", "NUL");
    refuse(I "/tree/a%4", I "/tree/a", "escape");
    refuse("/v1/images/ab/tree/../json", "/v1/images/ab/json", "ambiguous");
    refuse("/v1/images/ab/tree/%2e%2e/%2e%2e/cd/tree", "/v1/images/cd/tree", "ambiguous");
}

static void
bad_escapes_are_refused(void **state)
{
    static const char *const bad[] = {"/a%", "/a%2", "/a%g0", "/a%0g", "/%%41", "/a%/b", "/a%4/1"};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        refuse(bad[i], "/a", "escape");
}

static void
a_path_must_be_the_one_that_nginx_decided_on(void **state)
{
    (void)state;
    refuse("/v2/a", "/v2/b", "ambiguous");
    refuse("/v2/a", "/v2/a/", "ambiguous");
    refuse("/v2/a/", "/v2/a", "ambiguous");
    refuse("/v2/a", "/v2/ab", "ambiguous");
    refuse("/v2/ab", "/v2/a", "ambiguous");
    refuse("/v2/a/b", "/v2/a", "ambiguous");
    refuse("/v2", "/v2/a", "ambiguous");
    refuse("/V2/a", "/v2/a", "ambiguous");
    refuse("/a%2525", "/a%", "ambiguous");
    refuse("/v2/../a", "/a", "ambiguous");
    refuse("/", "/v2", "ambiguous");
    refuse("/v2", "/", "ambiguous");
}

static void
there_is_a_bound_on_segments(void **state)
{
    char text[2 * PATH_SEGMENTS_MAX + 3];

    (void)state;
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 2 == 0 ? '/' : 'a';
    text[2 * PATH_SEGMENTS_MAX] = '\0';
    assert_int_equal(path_parse(&path, text, text, &arena, &err), 0);
    assert_int_equal(path.n, PATH_SEGMENTS_MAX);
    text[2 * PATH_SEGMENTS_MAX] = '/';
    text[2 * PATH_SEGMENTS_MAX + 1] = 'a';
    text[2 * PATH_SEGMENTS_MAX + 2] = '\0';
    refuse(text, text, "too many");
}

static void
memory_that_is_out_is_our_fault(void **state)
{
    (void)state;
    arena_reset(&arena);
    arena_init(&arena, 16);
    assert_int_equal(path_parse(&path, "/v2/abc", "/v2/abc", &arena, &err), -1);
    assert_int_equal(err.code, ERR_SYSTEM);
}

/* In a block that ends where the text ends, so that a sanitizer sees what reads on. */
static size_t
unescape(const char *text, size_t n, int plus, char *out)
{
    char *copy = malloc(n > 0 ? n : 1);
    size_t length;

    assert_non_null(copy);
    memcpy(copy, text, n);
    length = path_unescape(copy, n, plus);
    if (length != (size_t)-1)
        memcpy(out, copy, length);
    free(copy);
    return length;
}

static void
escapes_are_undone_in_place(void **state)
{
    char out[10];

    (void)state;
    assert_int_equal(unescape("", 0, 0, out), 0);
    assert_int_equal(unescape("%00%fF", 6, 0, out), 2);
    assert_memory_equal(out, "\0\xff", 2);
    assert_int_equal(unescape("a+b", 3, 1, out), 3);
    assert_memory_equal(out, "a b", 3);
    assert_int_equal(unescape("a+b", 3, 0, out), 3);
    assert_memory_equal(out, "a+b", 3);
    assert_int_equal(unescape("%", 1, 0, out), (size_t)-1);
    assert_int_equal(unescape("%4", 2, 0, out), (size_t)-1);
    char cut[] = "%41";
    assert_int_equal(path_unescape(cut, 2, 0), (size_t)-1);
    assert_int_equal(unescape("%4%31", 5, 0, out), (size_t)-1);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(paths_are_split_and_decoded_once),
        TEST(what_could_be_read_in_two_ways_is_refused),
        TEST(bad_escapes_are_refused),
        TEST(a_path_must_be_the_one_that_nginx_decided_on),
        TEST(there_is_a_bound_on_segments),
        TEST(memory_that_is_out_is_our_fault),
        TEST(escapes_are_undone_in_place),
        TEST(what_is_inside_of_an_image_may_be_anything),
        TEST(nothing_inside_of_an_image_changes_what_is_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
