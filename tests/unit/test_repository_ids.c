#include "store_fixture.h"
#include <stdio.h>
#include "domain/core/blob.h"
#include "domain/core/pull.h"
#include "domain/core/repository.h"
#include "domain/core/repository_ids.h"
#include "storage/tables/tbl_repo.h"

/* What a worker remembers of repositories is a guess, and never an answer. */

static void
a_guess_is_the_last_id_that_was_noted(void **state)
{
    struct repository_ids *ids = repository_ids_new();
    char name[16];

    (void)state;
    assert_int_equal(repository_ids_guess(ids, "a/b"), 0);
    repository_ids_note(ids, "a/b", 7);
    assert_int_equal(repository_ids_guess(ids, "a/b"), 7);
    assert_int_equal(repository_ids_guess(ids, "a"), 0);
    assert_int_equal(repository_ids_guess(ids, ""), 0);
    repository_ids_note(ids, "a/b", 8);
    assert_int_equal(repository_ids_guess(ids, "a/b"), 8);
    for (unsigned i = 1; i < 100000; i++) { /* more than it has room for */
        snprintf(name, sizeof name, "r%u", i);
        repository_ids_note(ids, name, i);
        assert_int_equal(repository_ids_guess(ids, name), i);
    }
    repository_ids_free(ids);
    repository_ids_note(NULL, "a/b", 7);
    assert_int_equal(repository_ids_guess(NULL, "a/b"), 0);
    repository_ids_free(NULL);
}

struct pushed {
    struct digest config, layer, manifest;
};

static struct pushed
push_one(struct fixture *f)
{
    struct pushed x = {fixture_blob(f, "a/b", "config"), fixture_blob(f, "a/b", "layer"), {0}};
    struct push p;

    OK(f, fixture_push(f, "a/b", "v1", fixture_image(f, &x.config, &x.layer, ""), OCI_IMAGE, &p));
    x.manifest = p.digest;
    return x;
}

/* 0: by tag, by digest and as a blob it is there; else what all three say. */
static enum err_code
look(struct fixture *f, const struct pushed *x, enum err_code of_blob)
{
    struct reference tag = {.tag = "v1"}, digest = {.digest = x->manifest};
    struct pulled got;
    struct blob b;
    int rc = pull_manifest(&f->reg, "a/b", &tag, true, &f->arena, &got, &f->err);
    enum err_code code = rc == 0 ? ERR_NONE : f->err.code;

    for (int head = 0; head < 2; head++) {
        assert_int_equal(
            pull_manifest(&f->reg, "a/b", &digest, head == 0, &f->arena, &got, &f->err), rc);
        if (rc != 0)
            assert_int_equal(f->err.code, code);
        else
            assert_true(digest_equal(&got.digest, &x->manifest));
        assert_int_equal(blob_need(&f->reg, "a/b", &x->layer, head == 1, &b, &f->err), rc);
        if (rc != 0)
            assert_int_equal(f->err.code, of_blob);
    }
    return code;
}

static void
a_wrong_guess_changes_nothing(void **state)
{
    static const uint64_t wrong[] = {999, 2, UINT64_MAX};
    struct fixture *f = *state;
    struct pushed x;

    f->reg.repository_ids = repository_ids_new();
    fixture_blob(f, "another", "another"); /* its id is 2 or 1 */
    x = push_one(f);
    assert_int_equal(look(f, &x, ERR_NONE), ERR_NONE);
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        repository_ids_note(f->reg.repository_ids, "a/b", wrong[i]);
        assert_int_equal(look(f, &x, ERR_NONE), ERR_NONE);
        repository_ids_note(f->reg.repository_ids, "a/b", wrong[i]);
        push_one(f);
    }
    repository_ids_free(f->reg.repository_ids);
}

/* Another server removes the repository, and then makes it anew. */
static int
remove_it(struct txn *t, void *arg, struct err *err)
{
    return tbl_repo_get(t, "a/b", arg, err) == 1 ? tbl_repo_drop(t, "a/b", err) : -1;
}

static int
make_it(struct txn *t, void *arg, struct err *err)
{
    return tbl_repo_put(t, "a/b", arg, err);
}

static void
a_repository_that_is_made_anew_has_nothing_of_the_former_one(void **state)
{
    struct fixture *f = *state;
    struct rec_repo r;
    struct pushed x;

    f->reg.repository_ids = repository_ids_new();
    x = push_one(f);
    assert_int_equal(look(f, &x, ERR_NONE), ERR_NONE);
    fixture_run(f, remove_it, &r);
    assert_int_equal(look(f, &x, ERR_NO_REPOSITORY), ERR_NO_REPOSITORY);
    r.id += 1000;
    fixture_run(f, make_it, &r);
    assert_int_equal(look(f, &x, ERR_NO_BLOB), ERR_NO_MANIFEST);
    r.id -= 1000;
    fixture_run(f, make_it, &r);
    assert_int_equal(look(f, &x, ERR_NONE), ERR_NONE);
    repository_ids_free(f->reg.repository_ids);
}

#define STORE(fn) cmocka_unit_test_setup_teardown(fn, fixture_store, fixture_done)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guess_is_the_last_id_that_was_noted),
        STORE(a_wrong_guess_changes_nothing),
        STORE(a_repository_that_is_made_anew_has_nothing_of_the_former_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
