#include "store_fixture.h"
#include <stdio.h>
#include <string.h>
#include "domain/access/access.h"
#include "domain/core/catalog.h"
#include "storage/tables/tbl_manifest.h"
#include "storage/tables/tbl_repo.h"

static const struct catalog_filter all_names = {.prefix = NULL};

#define MANY 10200u
/* Each tenth has nothing in it. */
#define LISTED(i) ((i) % 10 != 0)

static const struct actor anybody = {.user = "", .address = "192.0.2.1"};
static unsigned from;

static int
put_some(struct txn *t, void *arg, struct err *err)
{
    struct digest d = fixture_digest("a manifest");

    (void)arg;
    for (unsigned i = from; i < from + 600; i++) {
        char name[32];
        struct rec_repo r = {.id = i + 1};

        snprintf(name, sizeof name, "r%05u", i);
        if (tbl_repo_put(t, name, &r, err) != 0)
            return -1;
    }
    for (unsigned i = from; i < from + 600; i++) {
        struct rec_manifest m = {.media_type = OCI_IMAGE};

        if (LISTED(i) && tbl_manifest_put(t, i + 1, &d, &m, err) != 0)
            return -1;
    }
    return 0;
}

static int
setup(void **state)
{
    if (fixture_store(state) != 0)
        return -1;
    for (from = 0; from < MANY; from += 600)
        fixture_run(*state, put_some, NULL);
    return 0;
}

static struct catalog_found
search(struct fixture *f, const char *text, uint64_t skip, size_t limit)
{
    struct catalog_found found;

    OK(f, catalog_search(&f->reg, &anybody, text, skip, limit, &f->arena, &found, &f->err));
    for (size_t i = 0; i < found.n; i++) {
        unsigned number;

        assert_int_equal(sscanf(found.names[i], "r%u", &number), 1);
        assert_true(LISTED(number));
        assert_true(i == 0 || strcmp(found.names[i - 1], found.names[i]) < 0);
    }
    return found;
}

static void
what_has_nothing_in_it_is_not_found(void **state)
{
    struct fixture *f = *state;
    struct catalog_found found = search(f, "R0001", 0, 100);

    assert_int_equal(found.total, 9);
    assert_int_equal(found.n, 9);
    assert_string_equal(found.names[0], "r00011");
    found = search(f, "r0001", 8, 100);
    assert_int_equal(found.total, 9);
    assert_int_equal(found.n, 1);
    assert_string_equal(found.names[0], "r00019");
    assert_int_equal(search(f, "r0001", 9, 100).n, 0);
    assert_int_equal(search(f, "r00010", 0, 100).total, 0);
    assert_int_equal(search(f, "", 0, 100).total, MANY / 10 * 9);
}

/* From CATALOG_EXACT_MAX on, in the count. That takes more of them than the above. */
static void
in_a_large_registry_no_page_has_any_and_none_is_missing(void **state)
{
    struct fixture *f = *state;
    const unsigned more = 12000 - MANY;
    uint64_t total, seen = 0;

    for (from = MANY; from < MANY + more; from += 600)
        fixture_run(f, put_some, NULL);
    total = search(f, "", 0, 1).total;
    /* 10000 listed ones are among the first 11111; all that come then are counted */
    assert_int_equal(total, 10000 + 12000 - 11112);
    for (uint64_t skip = 0; skip < total; skip += 1000) {
        struct catalog_found found = search(f, "", skip, 1000);

        assert_int_equal(found.total, total);
        seen += found.n;
        arena_reset(&f->arena);
    }
    assert_int_equal(seen, 12000 / 10 * 9);
}

static void
the_list_has_what_is_found(void **state)
{
    struct fixture *f = *state;
    struct catalog_page page;

    OK(f, catalog_list(&f->reg, &anybody, &all_names, "r00008", 3, &f->arena, &page, &f->err));
    assert_int_equal(page.n, 3);
    assert_true(page.more);
    assert_string_equal(page.names[0], "r00009");
    assert_string_equal(page.names[1], "r00011");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_has_nothing_in_it_is_not_found),
        TEST(in_a_large_registry_no_page_has_any_and_none_is_missing),
        TEST(the_list_has_what_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
