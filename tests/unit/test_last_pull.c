#include "store_fixture.h"
#include <string.h>
#include "domain/core/delete.h"
#include "domain/core/repository.h"
#include "domain/retention/last_pull.h"
#include "domain/retention/pull_memory.h"
#include "storage/tables/tbl_pull.h"
#include "storage/tables/tbl_tag.h"
#include "util/clock.h"

static struct pull_memory memory;
static uint64_t repo;
static struct digest digest;

static int
setup_image(void **state)
{
    struct fixture *f;
    struct digest config, layer;
    struct rec_repo r;
    struct push p;

    if (fixture_store(state) != 0 || pull_memory_make(&memory, &(struct err){0}) != 0)
        return -1;
    f = *state;
    f->reg.pulls = &memory;
    config = fixture_blob(f, "app", "config");
    layer = fixture_blob(f, "app", "layer");
    if (fixture_push(f, "app", "v1", fixture_image(f, &config, &layer, ""), OCI_IMAGE, &p) != 0 ||
        repository_find(&f->reg, "app", &r, &f->err) != 1)
        return -1;
    repo = r.id;
    digest = p.digest;
    return last_pull_flush(&f->reg, &f->err);
}

static int
end_image(void **state)
{
    pull_memory_close(&memory);
    return fixture_done(state);
}

static uint64_t
row_of(struct fixture *f, const char *name)
{
    struct rec_pull r = {0};
    int rc = tbl_pull_get(kv_reads(f->reg.kv), repo, name, &r, &f->err);

    assert_in_range(rc, 0, 1);
    return r.last;
}

static uint64_t
last_of(struct fixture *f, const char *tag)
{
    struct rec_tag r;
    uint64_t last;

    assert_int_equal(tbl_tag_get(kv_reads(f->reg.kv), repo, tag, &r, &f->err), 1);
    OK(f, last_pull_find(&f->reg, repo, tag, &r, &last, &f->err));
    return last;
}

static void
a_tag_counts_as_pulled_by_its_name_or_its_digest(void **state)
{
    struct fixture *f = *state;
    uint64_t began = last_of(f, "v1"), now = clock_wall_ms();
    char text[DIGEST_TEXT_MAX];

    /* Earlier pulls are not known. */
    assert_in_range(began, now - 10000, now);
    fixture_forward_ms(100000);
    assert_int_equal(last_of(f, "v1"), began);

    last_pull_note(&f->reg, repo, "v1");
    OK(f, last_pull_flush(&f->reg, &f->err));
    assert_in_range(last_of(f, "v1"), began + 98000, began + 110000);
    assert_int_equal(row_of(f, "v1"), last_of(f, "v1"));

    fixture_forward_ms(100000);
    digest_text(text, &digest);
    last_pull_note(&f->reg, repo, text);
    OK(f, last_pull_flush(&f->reg, &f->err));
    assert_in_range(last_of(f, "v1"), began + 198000, began + 220000);
    assert_int_equal(row_of(f, text), last_of(f, "v1"));
}

static void
rows_go_with_tags_and_manifests(void **state)
{
    struct fixture *f = *state;
    char text[DIGEST_TEXT_MAX];

    digest_text(text, &digest);
    last_pull_note(&f->reg, repo, "v1");
    last_pull_note(&f->reg, repo, text);
    OK(f, last_pull_flush(&f->reg, &f->err));
    assert_true(row_of(f, "v1") > 0 && row_of(f, text) > 0);
    OK(f, delete_tag(&f->reg, "app", "v1", NULL, &fixture_actor, &f->arena, &f->err));
    assert_true(row_of(f, "v1") == 0 && row_of(f, text) > 0);
    OK(f, delete_manifest(&f->reg, "app", &digest, NULL, &fixture_actor, &f->arena, &f->err));
    assert_int_equal(row_of(f, text), 0);

    /* Pulls that were noted before the deletion leave no row behind. */
    fixture_forward_ms(5000);
    last_pull_note(&f->reg, repo, "v1");
    last_pull_note(&f->reg, repo, text);
    OK(f, last_pull_flush(&f->reg, &f->err));
    assert_false(pull_memory_has_any(&memory));
    assert_true(row_of(f, "v1") == 0 && row_of(f, text) == 0);
}

static void
what_was_forgotten_counts_as_pulled(void **state)
{
    struct fixture *f = *state;
    uint64_t began = last_of(f, "v1");
    char name[16];

    fixture_forward_ms(3600000);
    for (unsigned i = 0; pull_memory_forgotten(&memory) == 0; i++) {
        snprintf(name, sizeof name, "t%u", i);
        pull_memory_note(&memory, repo, name, clock_wall_ms());
    }
    OK(f, last_pull_flush(&f->reg, &f->err));
    assert_false(pull_memory_has_any(&memory));
    assert_true(last_of(f, "v1") >= began + 3600000);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_tag_counts_as_pulled_by_its_name_or_its_digest,
                                        setup_image, end_image),
        cmocka_unit_test_setup_teardown(rows_go_with_tags_and_manifests, setup_image, end_image),
        cmocka_unit_test_setup_teardown(what_was_forgotten_counts_as_pulled, setup_image,
                                        end_image),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
