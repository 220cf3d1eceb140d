#include "store_fixture.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "domain/access/access.h"
#include "domain/core/catalog.h"
#include "domain/core/delete.h"

static const struct actor alice = {.user = "alice", .address = "192.0.2.1"};
static const struct catalog_filter all_names = {.prefix = NULL};
static const struct actor nobody = {.user = "", .address = "192.0.2.1"};

/* A repository with an image in it. */
static struct digest
fill(struct fixture *f, const char *name)
{
    struct digest d = fixture_blob(f, name, "blob");
    struct push p;

    OK(f, fixture_push(f, name, "v1", fixture_image(f, &d, &d, ""), OCI_IMAGE, &p));
    return p.digest;
}

static struct catalog_page
list(struct fixture *f, const char *after, size_t limit)
{
    struct catalog_page page;

    OK(f, catalog_list(&f->reg, &alice, &all_names, after, limit, &f->arena, &page, &f->err));
    assert_true(page.n <= limit);
    return page;
}

/* All names, from pages of that size, each ended by a blank. Only the last page says no more. */
static const char *
walk(struct fixture *f, size_t limit)
{
    const char *all = "", *after = "";
    struct catalog_page page;

    do {
        page = list(f, after, limit);
        assert_true(page.n == limit || !page.more);
        for (size_t i = 0; i < page.n; i++)
            all = arena_printf(&f->arena, "%s%s ", all, page.names[i]);
        assert_true(page.n > 0 || *all == '\0');
        if (page.n > 0)
            after = page.names[page.n - 1];
    } while (page.more);
    return all;
}

static void
an_empty_store_has_an_empty_list(void **state)
{
    struct fixture *f = *state;
    struct catalog_page page = list(f, "", 10);

    assert_int_equal(page.n, 0);
    assert_false(page.more);
    page = list(f, "a", 0);
    assert_int_equal(page.n, 0);
}

static void
names_that_prefix_one_another_come_once_in_byte_order(void **state)
{
    static const char *const names[] = {
        "a/b",   "ab", "a", "a-b",  "a.b",  "a0",  "a_b", "a__b",
        "a/b/c", "aa", "b", "a/b0", "a--b", "a/0", "0",   "z/z",
    };
    static const char want[] = "0 a a--b a-b a.b a/0 a/b a/b/c a/b0 a0 a__b a_b aa ab b z/z ";
    struct fixture *f = *state;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        fill(f, names[i]);
    for (size_t limit = 1; limit <= 17; limit++)
        assert_string_equal(walk(f, limit), want);
}

static void
a_page_begins_behind_any_text(void **state)
{
    struct fixture *f = *state;
    char far[2000];

    fill(f, "a");
    fill(f, "a/b");
    fill(f, "c");
    assert_string_equal(list(f, "a", 1).names[0], "a/b");
    assert_string_equal(list(f, "a/", 1).names[0], "a/b");
    assert_string_equal(list(f, "b", 1).names[0], "c");
    assert_string_equal(list(f, "A", 1).names[0], "a");
    assert_int_equal(list(f, "c", 5).n, 0);
    assert_int_equal(list(f, "\xff", 5).n, 0);
    memset(far, 'b', sizeof far - 1);
    far[sizeof far - 1] = '\0';
    assert_string_equal(list(f, far, 5).names[0], "c");
    struct catalog_page page = list(f, "", 0);
    assert_int_equal(page.n, 0);
}

static void
what_has_no_manifest_is_no_repository_for_users(void **state)
{
    struct fixture *f = *state;

    fixture_blob(f, "blobs/only", "blob");
    struct digest d = fill(f, "full");
    assert_string_equal(walk(f, 1), "full ");
    OK(f, delete_tag(&f->reg, "full", "v1", NULL, &alice, &f->arena, &f->err));
    assert_string_equal(walk(f, 1), "full "); /* by digest it is still there */
    OK(f, delete_manifest(&f->reg, "full", &d, NULL, &alice, &f->arena, &f->err));
    assert_string_equal(walk(f, 1), "");
    fill(f, "full");
    assert_string_equal(walk(f, 1), "full ");
}

/* Many of them, and between two that are listed more empty ones than are looked at together. */
static void
empty_ones_make_no_page_shorter(void **state)
{
    struct fixture *f = *state;
    struct catalog_page page;
    const char *want = "";

    fill(f, "aa");
    for (int i = 0; i < 70; i++)
        fixture_blob(f, arena_printf(&f->arena, "b%03d", i), "blob");
    fill(f, "c");
    page = list(f, "", 1);
    assert_int_equal(page.n, 1);
    assert_true(page.more);
    page = list(f, "aa", 1);
    assert_string_equal(page.names[0], "c");
    assert_false(page.more);
    for (int i = 0; i < 66; i++) {
        const char *name = arena_printf(&f->arena, "d%03d", i);

        fill(f, name);
        want = arena_printf(&f->arena, "%s%s ", want, name);
    }
    want = arena_printf(&f->arena, "aa c %s", want);
    for (size_t limit = 63; limit <= 66; limit++)
        assert_string_equal(walk(f, limit), want);
    assert_string_equal(walk(f, 67), want);
    assert_string_equal(walk(f, 68), want);
    assert_string_equal(walk(f, 1000), want);
}

static void
the_last_page_knows_that_it_is_the_last(void **state)
{
    struct fixture *f = *state;

    fill(f, "a");
    fill(f, "b");
    fixture_blob(f, "c", "blob"); /* not listed, so not more either */
    assert_true(list(f, "", 1).more);
    assert_false(list(f, "", 2).more);
    assert_false(list(f, "a", 1).more);
}

static void
who_may_not_pull_sees_nothing(void **state)
{
    struct fixture *f = *state;
    struct catalog_page page;

    fill(f, "a");
    fill(f, "b");
    f->reg.users_given = true;
    OK(f, catalog_list(&f->reg, &nobody, &all_names, "", 10, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 0);
    assert_false(page.more);
    assert_string_equal(walk(f, 10), "a b ");
    f->reg.users_given = false;
    OK(f, catalog_list(&f->reg, &nobody, &all_names, "", 10, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 2);
}

int
main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, fixture_store, fixture_done)
    const struct CMUnitTest tests[] = {
        TEST(an_empty_store_has_an_empty_list),
        TEST(names_that_prefix_one_another_come_once_in_byte_order),
        TEST(a_page_begins_behind_any_text),
        TEST(what_has_no_manifest_is_no_repository_for_users),
        TEST(empty_ones_make_no_page_shorter),
        TEST(the_last_page_knows_that_it_is_the_last),
        TEST(who_may_not_pull_sees_nothing),
    };
    alarm(100); /* a hang is a failure */
    return cmocka_run_group_tests(tests, NULL, NULL);
}
