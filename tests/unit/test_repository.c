#include "v1_images.h"
#include <string.h>
#include "domain/core/delete.h"
#include "domain/core/repository.h"

static void
expect_meant(struct fixture *f, const char *name, const char *want)
{
    const char *meant;

    OK(f, repository_meant(&f->reg, name, &f->arena, &meant, &f->err));
    assert_string_equal(meant, want);
}

static void
push(struct fixture *f, const char *repository)
{
    struct digest blob = fixture_blob(f, repository, "blob");
    struct push p;

    OK(f, fixture_push(f, repository, "v1", fixture_image(f, &blob, &blob, ""), OCI_IMAGE, &p));
}

/* ---- which one is meant by a short name ---- */

static void
without_either_it_is_called_as_it_was_sent(void **state)
{
    struct fixture *f = *state;

    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
    fixture_blob(f, "app", "a blob is no image");
    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
}

static void
with_one_of_them_both_names_mean_it(void **state)
{
    struct fixture *f = *state;

    push(f, "short");
    expect_meant(f, "short", "short");
    expect_meant(f, "library/short", "short");
    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "library/long", "v1", 1));
    expect_meant(f, "long", "library/long");
    expect_meant(f, "library/long", "library/long");
    fixture_blob(f, "long", "what has nothing but blobs doesn't count");
    expect_meant(f, "long", "library/long");
}

static void
with_both_each_means_itself_until_one_is_emptied(void **state)
{
    struct fixture *f = *state;
    size_t n;

    v1_push(f, 1, 0, "layer");
    OK(f, v1_tag(f, "app", "v1", 1));
    OK(f, v1_tag(f, "library/app", "v1", 1));
    expect_meant(f, "app", "app");
    expect_meant(f, "library/app", "library/app");
    OK(f, delete_all_tags(&f->reg, "app", &v1_alice, &n, &f->err));
    expect_meant(f, "app", "library/app");
}

static void
names_of_more_parts_mean_themselves(void **state)
{
    struct fixture *f = *state;
    char name[256];

    push(f, "a/app");
    push(f, "library/a/b");
    push(f, "other/c");
    expect_meant(f, "app", "app");
    expect_meant(f, "a/b", "a/b");
    expect_meant(f, "library/a/app", "library/a/app");
    expect_meant(f, "library/other/c", "library/other/c");
    expect_meant(f, "c", "c");
    memset(name, 'n', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    expect_meant(f, name, name);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(without_either_it_is_called_as_it_was_sent),
        TEST(with_one_of_them_both_names_mean_it),
        TEST(with_both_each_means_itself_until_one_is_emptied),
        TEST(names_of_more_parts_mean_themselves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
