#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "protocol/inside/browse_entry.h"
#include "util/json.h"

static struct digest layer = {.algo = DIGEST_SHA256, .bytes = {0xab}};
static struct digest id = {.algo = DIGEST_V1_ID, .bytes = {0xcd}};
static struct browse_image image = {.n = 1, .layers = &layer, .ids = &id};

#define ZEROS "00000000000000000000000000000000000000000000000000000000000000"
#define TAIL ",\"uid\":1,\"gid\":2,\"layer\":\"sha256:ab" ZEROS "\"}"

static void
expect(const struct layer_entry *e, struct bytes path, const char *want)
{
    struct layer_merge_node node = {.entry = *e};
    struct buf out;
    struct json *j;
    struct err err;

    buf_init(&out, BROWSE_ENTRY_MAX);
    browse_entry_put(&out, &image, path, &node);
    assert_true(buf_ok(&out));
    if (want != NULL)
        assert_string_equal(buf_text(&out), want);
    if (json_parse(buf_bytes(&out), 3, &j, &err) != 0)
        fail_msg("%s: %s", err.message, buf_text(&out));
    json_free(j);
    buf_free(&out);
}

static void
entries_have_the_originals_members_first(void **state)
{
    struct layer_entry e = {.type = LAYER_FILE,
                            .size = 5,
                            .mode = 0644,
                            .mtime = 7,
                            .nanos = 8999999,
                            .uid = 1,
                            .gid = 2};

    (void)state;
    expect(&e, bytes_str("/etc/a"),
           "{\"path\":\"/etc/"
           "a\",\"type\":\"file\",\"size\":5,\"mode\":420,\"mtime\":7008,\"image\":\"cd" ZEROS
           "\"" TAIL);
    e.flags = LAYER_HARD_LINK;
    e.link = bytes_str("etc/b");
    expect(&e, bytes_str("/etc/a"),
           "{\"path\":\"/etc/"
           "a\",\"type\":\"link\",\"size\":0,\"mode\":420,\"mtime\":7008,\"image\":\"cd" ZEROS
           "\",\"linkname\":\"etc/b\"" TAIL);
    e = (struct layer_entry){
        .type = LAYER_DIR, .mode = 0755, .mtime = -1, .nanos = 0, .uid = 1, .gid = 2};
    expect(&e, bytes_str("/etc"),
           "{\"path\":\"/etc/"
           "\",\"type\":\"directory\",\"size\":0,\"mode\":493,\"mtime\":-1000,\"image\":\"cd" ZEROS
           "\"" TAIL);
    expect(&e, bytes_str("/"),
           "{\"path\":\"/"
           "\",\"type\":\"directory\",\"size\":0,\"mode\":493,\"mtime\":-1000,\"image\":\"cd" ZEROS
           "\"" TAIL);
}

static void
bytes_that_are_no_text_are_there_twice(void **state)
{
    struct layer_entry e = {
        .type = LAYER_SYMLINK, .mode = 0777, .uid = 1, .gid = 2, .link = bytes_str("\xff")};

    (void)state;
    expect(&e, bytes_str("/a\xc3"),
           "{\"path\":\"/"
           "a\xef\xbf\xbd\",\"path_b64\":\"L2HD\",\"type\":\"symlink\",\"size\":0,\"mode\":511,"
           "\"mtime\":0,\"image\":\"cd" ZEROS
           "\",\"linkname\":\"\xef\xbf\xbd\",\"linkname_b64\":\"/w==\"" TAIL);
}

/* The longest that a request can lead to fits. */
static void
the_longest_entry_fits(void **state)
{
    static char path[BROWSE_PATH_MAX - 2], link[LAYER_PATH_MAX];
    struct layer_entry e = {.type = LAYER_SYMLINK, .mtime = INT64_MAX};

    (void)state;
    memset(path, '\1', sizeof path);
    memset(link, '\xff', sizeof link);
    e.link = bytes_of(link, sizeof link);
    expect(&e, bytes_of(path, sizeof path), NULL);
    e.mtime = INT64_MIN;
    memset(path, '\xff', sizeof path);
    expect(&e, bytes_of(path, sizeof path), NULL);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(entries_have_the_originals_members_first),
        cmocka_unit_test(bytes_that_are_no_text_are_there_twice),
        cmocka_unit_test(the_longest_entry_fits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
