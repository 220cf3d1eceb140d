#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "domain/backup/backup_info.h"

/* backup.json as it may come from anywhere: what is not whole is refused, and says so. */

#define HASH "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const char whole[] =
    "{\"format\":1,\"program\":\"p\",\"moment\":\"2026-11-30T01:02:03.004Z\",\"moment_ms\":7,"
    "\"blobs\":1,\"bytes\":2,\"new_blobs\":3,\"new_bytes\":4,"
    "\"files\":[{\"name\":\"db/tag\",\"size\":5,\"mode\":384,\"digest\":\"" HASH "\"}],"
    "\"damaged\":[\"" HASH "\"],\"complete\":true}";

static struct err err;

static int
read_text(const char *text, struct backup_info *b)
{
    return backup_info_read(b, bytes_str(text), "it", &err);
}

static void
a_whole_one_is_read_and_written(void **state)
{
    struct backup_info b, again;
    struct buf text;

    (void)state;
    assert_int_equal(read_text(whole, &b), 0);
    assert_int_equal(b.moment_ms, 7);
    assert_int_equal(b.new_bytes, 4);
    assert_int_equal(b.files_n, 1);
    assert_string_equal(b.files[0].name, "db/tag");
    assert_int_equal(b.files[0].mode, 0600);
    assert_true(backup_info_is_damaged(&b, &b.files[0].digest));
    buf_init(&text, BACKUP_INFO_BYTES_MAX);
    backup_info_write(&b, &text);
    assert_int_equal(backup_info_read(&again, buf_bytes(&text), "it", &err), 0);
    assert_int_equal(again.files[0].size, 5);
    backup_info_free(&again);
    backup_info_free(&b);
    buf_free(&text);
}

/* Each prefix of it, as after a copy that was cut off. */
static void
a_part_of_one_is_refused(void **state)
{
    char part[sizeof whole];
    struct backup_info b;

    (void)state;
    for (size_t n = 0; n < sizeof whole - 1; n++) {
        memcpy(part, whole, n);
        part[n] = '\0';
        if (read_text(part, &b) == 0)
            fail_msg("%zu bytes of it were accepted", n);
        assert_int_equal(err.code, ERR_CORRUPT);
        assert_non_null(strstr(err.message, "it is "));
        backup_info_free(&b);
    }
}

static const struct bad_case {
    const char *from, *to;
    enum err_code code;
} bad_cases[] = {
    {"\"format\":1", "\"format\":2", ERR_UNSUPPORTED},
    {"\"format\":1", "\"format\":18446744073709551615", ERR_CORRUPT},
    {"\"format\":1", "\"format\":\"1\"", ERR_CORRUPT},
    {"\"format\":1,", "", ERR_CORRUPT},
    {"\"complete\":true", "\"complete\":false", ERR_CORRUPT},
    {"\"complete\":true", "\"complete\":1", ERR_CORRUPT},
    {",\"complete\":true", "", ERR_CORRUPT},
    {"\"moment_ms\":7", "\"moment_ms\":-7", ERR_CORRUPT},
    {"\"moment_ms\":7", "\"moment_ms\":7.5", ERR_CORRUPT},
    {"\"blobs\":1", "\"blobs\":18446744073709551616", ERR_CORRUPT},
    {"\"bytes\":2", "\"bytes\":null", ERR_CORRUPT},
    {"\"new_blobs\":3,", "", ERR_CORRUPT},
    {"\"new_bytes\":4", "\"new_bytes\":[4]", ERR_CORRUPT},
    {"\"files\":[", "\"files\":[7,", ERR_CORRUPT},
    {"\"files\":[", "\"files\":[[],", ERR_CORRUPT},
    {"\"files\":[", "\"nofiles\":[", ERR_CORRUPT},
    {"\"files\":[", "\"files\":[[[[[[[[]]]]]]],", ERR_CORRUPT},
    {"\"damaged\":[", "\"damaged\":[7,", ERR_CORRUPT},
    {"\"damaged\":[", "\"damaged\":[\"sha256:00\",", ERR_CORRUPT},
    {"db/tag", "", ERR_CORRUPT},
    {"db/tag", "db", ERR_CORRUPT},
    {"db/tag", "db/", ERR_CORRUPT},
    {"db/tag", "/db/tag", ERR_CORRUPT},
    {"db/tag", "../db/tag", ERR_CORRUPT},
    {"db/tag", "db/..", ERR_CORRUPT},
    {"db/tag", "db/.", ERR_CORRUPT},
    {"db/tag", "db/../x", ERR_CORRUPT},
    {"db/tag", "db/./x", ERR_CORRUPT},
    {"db/tag", "db//x", ERR_CORRUPT},
    {"db/tag", "hooks/a/../../../x", ERR_CORRUPT},
    {"db/tag", "layers/sha256/00/x", ERR_CORRUPT},
    {"db/tag", "backup.json", ERR_CORRUPT},
    {"db/tag", "db/tag\\u0000/../x", ERR_CORRUPT},
    {"\"size\":5", "\"size\":-1", ERR_CORRUPT},
    {"\"mode\":384", "\"mode\":512", ERR_CORRUPT},
    {"\"mode\":384", "\"mode\":2541", ERR_CORRUPT},
    {"\"digest\":\"sha256:e3", "\"digest\":\"sha256:E3", ERR_CORRUPT},
    {"\"digest\":\"sha256:e3", "\"digest\":\"md5:e3", ERR_CORRUPT},
};

static void
bad_ones_are_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_cases / sizeof *bad_cases; i++) {
        const struct bad_case *c = &bad_cases[i];
        const char *at = strstr(whole, c->from);
        char text[2 * sizeof whole];
        struct backup_info b;

        assert_non_null(at);
        snprintf(text, sizeof text, "%.*s%s%s", (int)(at - whole), whole, c->to,
                 at + strlen(c->from));
        if (read_text(text, &b) == 0)
            fail_msg("accepted: %s", text);
        if (err.code != c->code)
            fail_msg("code %d: %s", err.code, text);
        backup_info_free(&b);
    }
}

static void
names_are_moments(void **state)
{
    uint64_t seconds;
    char name[BACKUP_TIME_MAX];

    (void)state;
    backup_info_time(name, 1796000523);
    assert_true(backup_info_seconds(name, &seconds));
    assert_int_equal(seconds, 1796000523);
    for (const char *const *bad =
             (const char *const[]){"", "unfinished", "20261130T010203", "20261130T010203Zx",
                                   "2026113aT010203Z", "20261330T010203Z", NULL};
         *bad != NULL; bad++)
        assert_false(backup_info_seconds(*bad, &seconds));
}

static void
the_newest_has_the_last_name(void **state)
{
    char name[BACKUP_TIME_MAX];

    (void)state;
    backup_info_time(name, 1796000523);
    assert_int_equal(backup_info_next(1796000523999, NULL), 1796000523);
    assert_int_equal(backup_info_next(1796000524000, name), 1796000524);
    assert_int_equal(backup_info_next(1796000523999, name), 1796000524);
    assert_int_equal(backup_info_next(1000, name), 1796000524);
    assert_int_equal(backup_info_next(1000, "20261330T010203Z"), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_one_is_read_and_written),
        cmocka_unit_test(a_part_of_one_is_refused),
        cmocka_unit_test(bad_ones_are_refused),
        cmocka_unit_test(names_are_moments),
        cmocka_unit_test(the_newest_has_the_last_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
