#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>
#include "domain/access/bearer_grants.h"
#include "protocol/http/scope.h"

static void
is_scope(const char *text, const char *repository, unsigned actions)
{
    struct scope s;

    assert_true(scope_parse(&s, bytes_str(text)));
    assert_false(s.lists);
    assert_true(bytes_equal(s.repository, bytes_str(repository)));
    assert_int_equal(s.actions, actions);
}

static void
scopes_of_repositories(void **state)
{
    (void)state;
    is_scope("repository:a:pull", "a", BEARER_PULL);
    is_scope("repository:team/app:pull,push", "team/app", BEARER_PULL | BEARER_PUSH);
    is_scope("repository:a:push,pull,push", "a", BEARER_PULL | BEARER_PUSH);
    is_scope("repository:a:*", "a", BEARER_ALL);
    is_scope("repository:a:pull,delete,metadata_read,", "a", BEARER_PULL | BEARER_DELETE);
    is_scope("repository:a:", "a", 0);
    is_scope("repository:a:Pull,pul,pulls, push", "a", 0);
    is_scope("repository(plugin):team/app:pull", "team/app", BEARER_PULL);
}

static void
the_scope_of_lists(void **state)
{
    struct scope s;

    (void)state;
    assert_true(scope_parse(&s, bytes_str("registry:catalog:*")));
    assert_true(s.lists);
    assert_int_equal(s.repository.n, 0);
    assert_true(scope_parse(&s, bytes_str("registry:catalog:search")));
    assert_true(s.lists);
}

static void
others_are_none(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "::",
        "repository",
        "repository:a",
        "repository::pull",
        "repository:A:pull",
        "repository:a b:pull",
        "repository:a/:pull",
        "repository:localhost:5000/a:pull",
        "repository():a:pull",
        "repository(:a:pull",
        "repository(plugin:a:pull",
        "repository(plugin)x:a:pull",
        "Repository:a:pull",
        "registry:catalog:pull",
        "registry:other:*",
        "aws:a:pull",
    };
    struct scope s;
    char name[300];

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(scope_parse(&s, bytes_str(bad[i])));
    assert_false(scope_parse(&s, bytes_of("repository:a\0b:pull", 19)));
    memset(name, 'a', sizeof name);
    memcpy(name, "repository:", 11);
    memcpy(name + 11 + 256, ":pull", 6);
    assert_false(scope_parse(&s, bytes_str(name)));
    memcpy(name + 11 + 255, ":pull", 6);
    assert_true(scope_parse(&s, bytes_str(name)));
}

static void
they_are_written(void **state)
{
    struct buf out;

    (void)state;
    buf_init(&out, 1000);
    scope_put(&out, bytes_str("a/b"), BEARER_PUSH | BEARER_PULL);
    scope_put(&out, bytes_str("c"), BEARER_ACTIONS);
    scope_put_lists(&out);
    assert_string_equal(
        buf_text(&out),
        "repository:a/b:pull,push repository:c:pull,push,delete,* registry:catalog:*");
    buf_free(&out);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scopes_of_repositories),
        cmocka_unit_test(the_scope_of_lists),
        cmocka_unit_test(others_are_none),
        cmocka_unit_test(they_are_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
