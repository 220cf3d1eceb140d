#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>
#include "domain/core/media_type.h"

static void
images_and_indexes_are_told_apart(void **state)
{
    static const struct {
        const char *name;
        enum document_kind kind;
    } types[] = {
        {"application/vnd.oci.image.manifest.v1+json", DOCUMENT_IMAGE},
        {"application/vnd.docker.distribution.manifest.v2+json", DOCUMENT_IMAGE},
        {"application/vnd.oci.image.index.v1+json", DOCUMENT_INDEX},
        {"application/vnd.docker.distribution.manifest.list.v2+json", DOCUMENT_INDEX},
    };

    (void)state;
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        const struct media_type *t = media_type_find(types[i].name);

        assert_non_null(t);
        assert_string_equal(t->name, types[i].name);
        assert_int_equal(t->kind, types[i].kind);
        assert_false(media_type_is_schema1(types[i].name));
        assert_true(media_type_is_valid(types[i].name));
    }
    assert_null(media_type_find(""));
    assert_null(media_type_find("application/json"));
    assert_null(media_type_find("application/vnd.oci.image.manifest.v1+jso"));
    assert_null(media_type_find("application/vnd.oci.image.manifest.v1+json; charset=utf-8"));
}

static void
schema_1_is_known_as_what_is_refused(void **state)
{
    (void)state;
    assert_true(media_type_is_schema1("application/vnd.docker.distribution.manifest.v1+json"));
    assert_true(media_type_is_schema1("application/vnd.docker.distribution.manifest.v1+prettyjws"));
    assert_null(media_type_find("application/vnd.docker.distribution.manifest.v1+json"));
    assert_false(media_type_is_schema1("application/vnd.docker.distribution.manifest.v1"));
}

static void
media_types_follow_rfc_6838(void **state)
{
    static const char *const good[] = {
        "a/b",
        "text/plain",
        "application/vnd.oci.empty.v1+json",
        "application/vnd.docker.image.rootfs.diff.tar.gzip",
        "Application/X-Y",
        "a!#$&-^_.+/b!#$&-^_.+",
        "0/0",
    };
    static const char *const bad[] = {
        "",      "a",    "/",       "a/",       "/b",         "a/b/c",   "a b/c",
        "a/b c", "a/b;", ".a/b",    "a/.b",     "+a/b",       "a/-",     "a/b\n",
        "a/b*",  "*/*",  "a/b;c=d", "a/b, c/d", "\xc3\xa4/b", "a/\"b\"",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!media_type_is_valid(good[i]))
            fail_msg("\"%s\" is a media type", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (media_type_is_valid(bad[i]))
            fail_msg("\"%s\" is no media type", bad[i]);
}

static void
each_half_has_at_most_127_bytes(void **state)
{
    char half[129], name[300];

    (void)state;
    memset(half, 'a', sizeof half);
    half[127] = '\0';
    snprintf(name, sizeof name, "%s/%s", half, half);
    assert_true(media_type_is_valid(name));
    snprintf(name, sizeof name, "%sa/%s", half, half);
    assert_false(media_type_is_valid(name));
    snprintf(name, sizeof name, "%s/%sa", half, half);
    assert_false(media_type_is_valid(name));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(images_and_indexes_are_told_apart),
        cmocka_unit_test(schema_1_is_known_as_what_is_refused),
        cmocka_unit_test(media_types_follow_rfc_6838),
        cmocka_unit_test(each_half_has_at_most_127_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
