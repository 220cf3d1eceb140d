#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "domain/transfer/import_name.h"

static void
test_references(void **state)
{
    static const struct {
        const char *reference, *repository, *tag; /* repository NULL: it is none */
    } cases[] = {
        {"app", "my/app", "app"},
        {"1.0", "my/app", "1.0"},
        {"app:1", "app", "1"},
        {"team/app", "team/app", "latest"},
        {"docker.io/library/app:1", "app", "1"},
        {"index.docker.io/library/app:1", "app", "1"},
        {"docker.io/team/app:1", "team/app", "1"},
        {"library/app:1", "library/app", "1"},
        {"localhost/app:1", "app", "1"},
        {"localhost:5000/a/b/c:1", "a/b/c", "1"},
        {"reg.example.com/app", "app", "latest"},
        {"localhosts/app:1", "localhosts/app", "1"},
        {"team/app:1@sha256:0123", "team/app", "1"},
        {"team/app@sha256:0123", "team/app", ""},
        {"", NULL, ""},
        {":", NULL, ""},
        {"app:", NULL, ""},
        {":1", NULL, ""},
        {"a:b:c", NULL, ""},
        {"App:1", NULL, ""},
        {"app:-1", NULL, ""},
        {"../app:1", NULL, ""},
        {"a//b:1", NULL, ""},
        {"/app:1", NULL, ""},
    };
    char longer[400];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct import_name n;
        bool is = import_name_parse(&n, cases[i].reference, "my/app");

        if (is != (cases[i].repository != NULL))
            fail_msg("%s", cases[i].reference);
        if (!is)
            continue;
        assert_string_equal(n.repository, cases[i].repository);
        assert_string_equal(n.tag, cases[i].tag);
    }
    for (size_t n = 120; n < sizeof longer - 1; n++) {
        struct import_name name;

        memset(longer, 'a', n);
        longer[n] = '\0';
        import_name_parse(&name, longer, "x");
        longer[100] = ':';
        import_name_parse(&name, longer, "x");
        import_name_parse_own(&name, longer);
    }
}

static void
test_exact(void **state)
{
    struct import_name n;

    (void)state;
    assert_true(import_name_parse_own(&n, "example.com/app:1"));
    assert_string_equal(n.repository, "example.com/app");
    assert_string_equal(n.tag, "1");
    assert_true(import_name_parse_own(&n, "library/app"));
    assert_string_equal(n.repository, "library/app");
    assert_string_equal(n.tag, "");
    assert_false(import_name_parse_own(&n, "app:"));
    assert_false(import_name_parse_own(&n, "localhost:5000/app:1"));
    assert_false(import_name_parse_own(&n, ""));
}

static void
test_files(void **state)
{
    static const struct {
        const char *file, *name;
    } cases[] = {
        {"app.tar", "app"},
        {"My App.oci.tar", "my-app"},
        {"My App.oci.tar.gz", "my-app"},
        {"app.tzst", "app"},
        {"app.gz.d", "app-gz-d"},
        {"a--b__c.d", "a-b-c-d"},
        {".hidden-", "hidden"},
        {"tar", "tar"},
        {".tar", "tar"},
        {"...", NULL},
        {"", NULL},
        {"\xc3\xa4", NULL},
    };
    char out[RECORD_REPOSITORY_MAX + 1];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool is = import_name_of_file(out, cases[i].file);

        if (is != (cases[i].name != NULL) || (is && strcmp(out, cases[i].name) != 0))
            fail_msg("%s: %s", cases[i].file, is ? out : "none");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_references),
        cmocka_unit_test(test_exact),
        cmocka_unit_test(test_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
