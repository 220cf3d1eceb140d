#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "domain/name.h"

static void
names_that_clients_use_are_repositories(void **state)
{
    static const char *const good[] = {
        "a",
        "0",
        "busybox",
        "library/busybox",
        "a/b/c/d/e/f",
        "a.b",
        "a_b",
        "a__b",
        "a-b",
        "a--b",
        "a-----b",
        "a.b_c-d",
        "1.2.3",
        "my-org/my_app",
        "example.com/app",
        "v2",
        "a/v2/b",
        "blobs",
        "a/blobs/uploads",
        "manifests",
        "tags",
        "a/tags/b",
        "a--------b/c",
        "0a/0b",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!name_is_repository(good[i]))
            fail_msg("\"%s\" is a repository", good[i]);
}

static void
what_the_grammar_forbids_is_no_repository(void **state)
{
    static const char *const bad[] = {
        "",         "/",   "a/",        "/a",     "a//b", "a/b/", ".a",   "a.",   "_a",    "a_",
        "-a",       "a-",  "a..b",      "a___b",  "a._b", "a_.b", "a-_b", "a.-b", "a_-b",  "a__.b",
        "A",        "aB",  "Library/a", "a b",    "a\n",  "a:b",  "a@b",  "a+b",  "a%2fb", "a\\b",
        "\xc3\xa4", "a/.", "..",        "a/../b", "a/-b", "a-/b", "a/_",  "-",    "a/.b",  "a./b",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (name_is_repository(bad[i]))
            fail_msg("\"%s\" is no repository", bad[i]);
}

static void
a_repository_has_at_most_255_bytes(void **state)
{
    char name[400];

    (void)state;
    memset(name, 'a', sizeof name);
    name[255] = '\0';
    assert_true(name_is_repository(name));
    name[255] = 'a';
    name[256] = '\0';
    assert_false(name_is_repository(name));
    for (size_t i = 1; i < 255; i += 2)
        name[i] = '/'; /* 128 components, the most there can be */
    name[255] = '\0';
    assert_true(name_is_repository(name));
}

static void
tags_that_clients_use_are_tags(void **state)
{
    static const char *const good[] = {
        "latest", "1", "v1.0.1-rc.2", "_", "__", "A", "a..b", "a--", "1.", "_.-", "sha256-abc.sig",
    };

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!name_is_tag(good[i]))
            fail_msg("\"%s\" is a tag", good[i]);
}

static void
what_the_grammar_forbids_is_no_tag(void **state)
{
    static const char *const bad[] = {
        "", ".", ".a", "-", "-a", "a/b", "a b", "a:b", "sha256:abc", "a\n", "\xc3\xa4", "a+b", "a%",
    };

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (name_is_tag(bad[i]))
            fail_msg("\"%s\" is no tag", bad[i]);
}

static void
a_tag_has_at_most_128_bytes(void **state)
{
    char tag[130];

    (void)state;
    memset(tag, 't', sizeof tag);
    tag[128] = '\0';
    assert_true(name_is_tag(tag));
    tag[128] = 't';
    tag[129] = '\0';
    assert_false(name_is_tag(tag));
}

static void
a_name_with_or_without_a_tag_is_split(void **state)
{
    static const struct {
        const char *text, *repository, *tag; /* repository NULL: refused */
    } cases[] = {
        {"app", "app", ""},
        {"team/app:1.0", "team/app", "1.0"},
        {"library/app:latest", "library/app", "latest"},
        {"", NULL, NULL},
        {":1", NULL, NULL},
        {"app:", NULL, NULL},
        {"app:1:2", NULL, NULL},
        {"App:1", NULL, NULL},
        {"host:5000/app", NULL, NULL},
    };
    char repository[RECORD_REPOSITORY_MAX + 1], tag[RECORD_TAG_MAX + 1], text[600];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        bool is = name_split(cases[i].text, strlen(cases[i].text), repository, tag);

        if (is != (cases[i].repository != NULL))
            fail_msg("\"%s\" is split: %d", cases[i].text, is);
        if (is) {
            assert_string_equal(repository, cases[i].repository);
            assert_string_equal(tag, cases[i].tag);
        }
    }
    assert_true(name_split("app:1@sha256", 5, repository, tag));
    assert_string_equal(tag, "1");
    memset(text, 'a', sizeof text);
    text[255] = ':';
    assert_true(name_split(text, 256 + 128, repository, tag));
    assert_int_equal(strlen(repository), 255);
    assert_int_equal(strlen(tag), 128);
    assert_false(name_split(text, 256 + 129, repository, tag));
    assert_false(name_split(text + 256, 256, repository, tag));
}

static void
a_short_name_has_no_library(void **state)
{
    (void)state;
    assert_string_equal(name_short("library/app"), "app");
    assert_string_equal(name_short("library/a/b"), "a/b");
    assert_string_equal(name_short("library"), "library");
    assert_string_equal(name_short("team/library/app"), "team/library/app");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_that_clients_use_are_repositories),
        cmocka_unit_test(what_the_grammar_forbids_is_no_repository),
        cmocka_unit_test(a_repository_has_at_most_255_bytes),
        cmocka_unit_test(tags_that_clients_use_are_tags),
        cmocka_unit_test(what_the_grammar_forbids_is_no_tag),
        cmocka_unit_test(a_tag_has_at_most_128_bytes),
        cmocka_unit_test(a_name_with_or_without_a_tag_is_split),
        cmocka_unit_test(a_short_name_has_no_library),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
